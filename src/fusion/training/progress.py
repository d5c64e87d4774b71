"""How far a fit has come, on disk: one that was killed goes on after its last whole epoch, as if nothing had been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.distributed as dist
from lightning.pytorch.plugins.io import CheckpointIO

from fusion.training.rank import Rank
from fusion.training.sealed import read_sealed, write_sealed


@dataclass(frozen=True)
class Progress:
    """The file of one fit.

    Attributes:
        path: Of the file.
        key: Content key of all that the fit's weights depend on.
    """

    path: Path
    key: str

    @classmethod
    def of(cls, folder: Path, key: str) -> Progress:
        """That of the fit with this key; several fits share a folder."""
        return cls(folder / f"{key[:32]}.pt", key)

    def read(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The checkpoint of an unfinished fit, or else what a finished one left; None for what there is not."""
        content = read_sealed(self.path, self.key) or {}
        return content.get("checkpoint"), content.get("result")

    def write_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Put an epoch's checkpoint in place of the last one's."""
        write_sealed(self.path, self.key, {"checkpoint": dict(checkpoint)})

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Put what is left of a finished fit in place of its checkpoint."""
        write_sealed(self.path, self.key, {"result": dict(result)})


class ProgressIO(CheckpointIO):
    """What Lightning asks for checkpoints: those that it goes on from are in memory.

    Args:
        progress: Where checkpoints are written; None on ranks that write none.
        resumed: The one to go on from.
    """

    def __init__(self, progress: Progress | None, resumed: Mapping[str, Any] | None) -> None:
        self._progress, self._resumed = progress, resumed

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:  # noqa: ARG002
        """Write it in place of the last one; Lightning asks rank 0 alone."""
        assert self._progress is not None, "a rank that keeps no progress is asked to"
        self._progress.write_checkpoint(checkpoint)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """The one to go on from, whatever the path."""
        assert self._resumed is not None, "a fit that begins is asked to go on"
        return dict(self._resumed)

    def remove_checkpoint(self, path: Any) -> None:
        """A fit's file is overwritten, and never removed."""


class SaveProgress(L.Callback):
    """Write a checkpoint after every epoch but the last, whose weights are about to be returned.

    It comes last of the callbacks, so that the state of the others is that of the epoch's end.
    """

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Write, on rank 0; the others wait for it."""
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not is_last:
            trainer.save_checkpoint("progress")


class RandomState(L.Callback):
    """Begin the fit at the place of the random sequence where it stood when this was made, or its checkpoint.

    Lightning sets the seed anew where ranks share a fit. There rank 0's place is taken by all, at the beginning and
    after every epoch: a layer that draws for a rank's own rows alone leaves each rank at another place.
    """

    def __init__(self, *, rank: Rank) -> None:
        self._rank, self._begin = rank, random_state()

    def state_dict(self) -> dict[str, Any]:
        """Of now, for a checkpoint."""
        return random_state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Begin there instead."""
        self._begin = state_dict

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Go to the beginning."""
        set_random_state(self._begin)
        self._agree()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Come together again."""
        self._agree()

    def _agree(self) -> None:
        if self._rank.count > 1:
            state = random_state()
            for part in state.values():
                dist.broadcast(part, src=0)
            set_random_state(state)


def random_state() -> dict[str, torch.Tensor]:
    """Place in torch's random sequences, of the CPU and, where there is one, of the GPU in use."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, torch.Tensor]) -> None:
    """Go to a place that ``random_state`` gave."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
