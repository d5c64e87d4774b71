"""A fit that goes on after an interruption is logged as one that was not interrupted."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import CSVLogger, Logger


class EarlierEpochs(L.Callback):
    """Gives loggers that begin anew what was logged of the epochs that are not done again.

    Args:
        path: ``metrics.csv`` as an interruption left it, if it is there; read at once, since ``table`` will begin it
            anew.
        table: The logger of that file.
        others: Other loggers that have nothing of those epochs.
    """

    def __init__(self, path: Path, *, table: CSVLogger, others: Sequence[Logger]) -> None:
        self._rows = _read(path) if path.is_file() else []
        self._table, self._others, self._has_begun = table, others, False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Log the epochs before the one that the fit begins with."""
        self._has_begun = True
        for row in self._rows:
            if row["epoch"] < trainer.current_epoch:
                _log(row, [self._table, *self._others])

    def finish(self) -> None:
        """Log all of them where the fit was finished before the interruption; the file itself was not touched then."""
        if not self._has_begun:
            for row in self._rows:
                _log(row, self._others)


def _read(path: Path) -> list[dict[str, float]]:
    with path.open(newline="", encoding="utf-8") as stream:
        # The last line of a killed process may end anywhere.
        rows = [row for row in csv.DictReader(stream) if row.get("epoch") and row.get("step")]
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


def _log(row: Mapping[str, float], loggers: Sequence[Logger]) -> None:
    figures = {name: value for name, value in row.items() if name != "step"} | {"epoch": int(row["epoch"])}
    for logger in loggers:
        logger.log_metrics(figures, step=int(row["step"]))
        logger.save()
