"""What a tracker can be given, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from fusion.runs.pseudonyms import Naming, plain_names, pseudonyms

# (H, W, 3)
Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is asked of a tracker; ``conf/logger`` says what each of them is.

    Attributes:
        takes_checkpoint, takes_report: False also where a tracker holds no files.
    """

    figures_every: int | None
    plain_ids: bool
    id_key: Path
    takes_checkpoint: bool
    takes_report: bool
    takes_test_figures: bool

    @classmethod
    def from_config(cls, settings: Mapping[str, Any], *, holds_files: bool) -> Self:
        """Read an option of ``conf/logger``."""
        return cls(
            figures_every=settings["figures_every"],
            plain_ids=settings["plain_ids"],
            id_key=Path(settings["id_key"]),
            takes_checkpoint=holds_files and settings["log_checkpoint"],
            takes_report=holds_files and settings["log_report"],
            takes_test_figures=settings["test_figures"],
        )

    def naming(self) -> Naming:
        """How ids are logged.

        Raises:
            FusionError: If the secret cannot be read or made.
        """
        return plain_names if self.plain_ids else pseudonyms(self.id_key)


class Tracker(Protocol):
    """One open run of Weights & Biases, TensorBoard or MLflow."""

    @property
    def wishes(self) -> Wishes:
        """What is asked of it."""

    @property
    def logger(self) -> Logger:
        """That Lightning writes figures of epochs to."""

    @property
    def is_continued(self) -> bool:
        """Whether it has what was logged before an interruption."""

    def log_settings(self, name: str, settings: Mapping[str, Any]) -> None:
        """Plain values, nested, beside the configuration, which it has from the start."""

    def log_numbers(self, numbers: Mapping[str, float]) -> None:
        """Figures of the whole run."""

    def log_picture(self, name: str, picture: Picture, *, epoch: int | None) -> None:
        """A figure as it was after an epoch, counted from 0; None: of the whole run."""

    def log_table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table."""

    def log_file(self, path: Path, *, name: str, kind: str) -> None:
        """A file as an artifact."""
