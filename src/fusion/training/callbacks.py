"""Lightning callbacks: keep the best weights, show how far the fit is."""

from __future__ import annotations

import math
import sys
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor


class BestWeights(L.Callback):
    """Keep the weights of the epoch with the lowest validation loss, in memory.

    Attributes:
        epoch: Of the best weights, counted from 0; -1 before the first validation.
        loss: Their validation loss.
    """

    def __init__(self) -> None:
        self.epoch, self.loss = -1, math.inf
        self._weights: dict[str, Tensor] = {}

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare, and copy where better."""
        loss = float(trainer.callback_metrics["validation/loss"])
        # The first is always taken, so that a loss that is never finite still leaves trained weights.
        if loss < self.loss or self.epoch < 0:
            self.epoch, self.loss = trainer.current_epoch, loss
            network: Any = pl_module.network
            self._weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"epoch": self.epoch, "loss": self.loss, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.epoch, self.loss, self._weights = (state_dict[name] for name in ("epoch", "loss", "weights"))

    def restore(self, network: Any) -> None:
        """Put the best weights back."""
        if self._weights:
            network.load_state_dict(self._weights)


class FitProgress(L.Callback):
    """One line per fold: moving on a terminal (epochs, time left, inner figures), at the end of the fit in a log."""

    def __init__(self, *, title: str) -> None:
        self._title = title
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs {task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not Console(stderr=True).is_terminal,
        )

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Show the bar."""
        self._progress.start()
        self._task = self._progress.add_task(self._title, total=trainer.max_epochs, figures="")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Move it on."""
        figures = trainer.callback_metrics
        text = f"validation loss {float(figures['validation/loss']):.3f}, AUC {float(figures['validation/auc']):.3f}"
        # A fit that goes on begins in the middle.
        self._progress.update(self._task, completed=trainer.current_epoch + 1, figures=text)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Leave the line as it stands; in a log, write what it would say."""
        self._progress.stop()
        if self._progress.disable:
            task = self._progress.tasks[self._task]
            print(f"{self._title}: {trainer.current_epoch} epochs, last {task.fields['figures']}", file=sys.stderr)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Give the terminal back, also after Ctrl-C."""
        self._progress.stop()
