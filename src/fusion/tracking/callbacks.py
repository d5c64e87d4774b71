"""Figures of epochs beside the losses. These callbacks watch: without them a fit is the same, bit by bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning as L
from torch import Tensor

from fusion.models.network import FusionOutput
from fusion.tracking.inner_rows import InnerRows
from fusion.training.inputs import Batch


class LearningRates(L.Callback):
    """``lr/<part of the network>``: the rate of the first step of each epoch."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read them off the optimizer."""
        parts = {id(parameter): _part(name) for name, parameter in pl_module.named_parameters()}
        for group in trainer.optimizers[0].param_groups:
            pl_module.log(f"lr/{parts[id(group['params'][0])]}", float(group["lr"]))


def _part(parameter: str) -> str:
    """The parts that ``conf/optimizer`` has rates for."""
    if ".backbone." in parameter:
        return "backbone"
    return "gates" if parameter.endswith(".gates") else "rest"


class Throughput(L.Callback):
    """``throughput/images_per_s``: training images of an epoch by the seconds of its training steps."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._n_images, self._seconds, self._start = 0, 0.0, time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Count the rows of all devices, which each is given. The validation ends an epoch, and is not timed."""
        self._n_images += len(batch.rows)
        self._seconds = time.perf_counter() - self._start

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Log."""
        pl_module.log("throughput/images_per_s", self._n_images / self._seconds)


class InnerFigures(L.Callback):
    """Figures of the inner validation part by branch, and what else is done with its rows after some epochs.

    ``validation/loss_<branch>`` (lower is better) and ``validation/auc_<branch>`` (higher is better) are of the cases
    that have the branch, as ``validation/loss`` and ``validation/auc`` are of all. ``gate/<branch>`` is the mean over
    all cases, 0 where a branch is absent: the means add up to 1.

    What ``validation_step`` returns is taken: the network's outputs for all rows of its batch. Nothing is computed a
    second time.

    Args:
        show: Is given the rows, the weights of the labels in the loss, and the epoch, counted from 0.
    """

    def __init__(self, *, show: Callable[[InnerRows, Tensor, int], None]) -> None:
        self._show = show

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Begin anew."""
        self._parts: list[InnerRows] = []

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Keep the rows, without their pixels."""
        module: Any = pl_module
        weights = module.class_weights
        part = InnerRows.of_batch(batch, FusionOutput(**outputs), branches=module.network.names, class_weights=weights)
        self._parts.append(part)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log."""
        module: Any = pl_module
        rows = InnerRows.concatenate(self._parts)
        pl_module.log_dict(rows.figures(module.network.names))
        self._show(rows, module.class_weights, trainer.current_epoch)
