"""The Lightning module: loss, steps, optimizer. It trains and scores; it neither plots nor keeps results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAUROC

from fusion.imaging.channels import compose_channels
from fusion.models.branches import BRANCHES
from fusion.models.network import FusionNet, FusionOutput
from fusion.models.share import Share, sharing
from fusion.training.augment import augment
from fusion.training.crew import gather_rows, mean_over_ranks
from fusion.training.inputs import Batch
from fusion.training.penalty import proximal_step
from fusion.training.rank import Rank


class FusionModule(L.LightningModule):
    """Train a ``FusionNet`` on the fused loss, a loss per branch and an L1 penalty on the radiomics gates.

    Where ranks share the batches, each takes its rows of them; what is logged is of all rows, and the same on every
    rank.

    Args:
        network: To be trained.
        class_weights: (K,) weight of each label in the loss.
        penalty: Strength of the L1 penalty on the radiomics gates, see ``penalty_strength``.
        channels: How the image input is composed of image and mask.
        branch_loss: Weight of each branch's own loss against the fused one.
        label_smoothing: Part of a label's probability that is spread over all labels in the loss.
        optimizer: ``conf/optimizer``: ``lr``, ``lr_backbone``, ``lr_gates``, ``weight_decay``, ``warmup_fraction``.
        augmentation: See ``augment``.
        n_steps: Steps of the whole fit, for the learning-rate schedule.
        freeze_epochs: First epochs, in which the backbone stands still.
        rank: Of this process.
    """

    def __init__(
        self,
        *,
        network: FusionNet,
        class_weights: Tensor,
        penalty: float,
        channels: str,
        branch_loss: float,
        label_smoothing: float,
        optimizer: Mapping[str, Any],
        augmentation: Mapping[str, Any],
        n_steps: int,
        freeze_epochs: int,
        rank: Rank,
    ) -> None:
        super().__init__()
        self.network = network
        self.class_weights: Tensor
        self.register_buffer("class_weights", class_weights)
        self.penalty, self.channels = penalty, channels
        self.branch_loss, self.label_smoothing = branch_loss, label_smoothing
        self.optimizer_settings, self.augmentation = optimizer, augmentation
        self.n_steps, self.freeze_epochs = n_steps, freeze_epochs
        self.rank = rank
        # Every rank has all rows.
        self.validation_loss = MeanMetric(sync_on_compute=False)
        self.validation_auc = MulticlassAUROC(num_classes=len(class_weights), average="macro", sync_on_compute=False)

    def forward(self, batch: Batch) -> FusionOutput:
        """Fuse the rank's rows of a batch, the crops as they are."""
        with sharing(self._share(batch)):
            return self._fuse(batch, self._gray_values(batch))

    def _gray_values(self, batch: Batch) -> Tensor:
        """Crops in [0, 1], in the precision that the weights have."""
        return batch.crops.to(self.class_weights.dtype) / 255

    def _share(self, batch: Batch) -> Share | None:
        if self.rank.count == 1:
            return None
        positions = torch.arange(len(batch.rows), device=batch.rows.device)
        return Share(n_rows=len(positions), mine=positions[self.rank.rows])

    def _fuse(self, batch: Batch, crops: Tensor) -> FusionOutput:
        image, mine = compose_channels(crops, channels=self.channels), self.rank.rows
        return self.network.fuse(image, batch.radiomics[mine], batch.clinical[mine], batch.present)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """The penalized loss, but for the penalty: that is a proximal step after the optimizer's."""
        with sharing(self._share(batch)):
            crops = self._gray_values(batch)
            if "image" in self.network.names:
                crops = augment(crops, augmentation=self.augmentation)
            output = self._fuse(batch, crops)
        weights = batch.weights * self.class_weights[batch.labels]
        fused = self._loss(output.logits, batch.labels, weights)
        known = batch.present[:, [BRANCHES.index(name) for name in self.network.names]]
        branches = {
            name: self._loss(output.opinions[:, i], batch.labels, weights * known[:, i])
            for i, name in enumerate(self.network.names)
        }
        names = ("loss", *(f"loss_{name}" for name in branches))
        # Not by Lightning's own means, which wait for all ranks where somebody on one of them looks at a figure.
        figures = mean_over_ranks(torch.stack([fused, *branches.values()]).detach(), rank=self.rank)
        for name, figure in zip(names, figures, strict=True):
            self.log(f"train/{name}", figure, on_epoch=True, on_step=False, batch_size=len(batch.rows))
        return fused + self.branch_loss * torch.stack(list(branches.values())).sum()

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:  # noqa: ARG002
        """Weighted log loss (lower is better) and macro AUC (higher is better) of the inner part.

        Returns:
            The parts of ``FusionOutput`` of all of the batch's rows, for callbacks.
        """
        own = self(batch)
        output = own._replace(
            logits=self._gathered(own.logits, batch),
            opinions=self._gathered(own.opinions, batch),
            gates=None if own.gates is None else self._gathered(own.gates, batch),
        )
        logits = output.logits
        weights = batch.weights * self.class_weights[batch.labels]
        self.validation_loss.update(functional.cross_entropy(logits, batch.labels, reduction="none"), weights)
        self.validation_auc.update(logits.softmax(dim=1), batch.labels)
        self.log("validation/loss", self.validation_loss, on_epoch=True)
        self.log("validation/auc", self.validation_auc, on_epoch=True)
        parts: dict[str, Any] = output._asdict()
        return parts

    def _gathered(self, rows: Tensor, batch: Batch) -> Tensor:
        return gather_rows(rows, n_rows=len(batch.rows), rank=self.rank)

    def on_train_epoch_start(self) -> None:
        """Hold the backbone still for the first epochs, so that random heads do not unlearn its weights."""
        if "image" in self.network.names:
            trained = self.current_epoch >= self.freeze_epochs
            # A batch norm's statistics belong to its weights: in training they would drift.
            self.network.branches["image"].get_submodule("backbone").requires_grad_(trained).train(trained)

    def on_train_epoch_end(self) -> None:
        """Log how many radiomics features are left."""
        if "radiomics" in self.network.names:
            self.log("radiomics/features", float(torch.count_nonzero(self._gates())))

    def configure_optimizers(self) -> Any:
        """AdamW with three groups (backbone, gates, the rest), warm-up and cosine decay to zero, per step."""
        settings = self.optimizer_settings
        backbone, gates, rest, undecayed = self._parameter_groups()
        groups = [
            {"params": backbone, "lr": settings["lr_backbone"], "weight_decay": settings["weight_decay"]},
            {"params": rest, "lr": settings["lr"], "weight_decay": settings["weight_decay"]},
            {"params": undecayed, "lr": settings["lr"], "weight_decay": 0.0},
            {"params": gates, "lr": settings["lr_gates"], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]])
        n_warmup = max(1, round(settings["warmup_fraction"] * self.n_steps))

        def factor(step: int) -> float:
            if step < n_warmup:
                return float((step + 1) / n_warmup)
            progress = min(1.0, (step - n_warmup) / max(1, self.n_steps - n_warmup))
            return 0.5 + 0.5 * math.cos(math.pi * progress)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _parameter_groups(self) -> tuple[list[nn.Parameter], ...]:
        groups: tuple[list[nn.Parameter], ...] = ([], [], [], [])
        backbone, gates, rest, undecayed = groups
        for name, parameter in self.network.named_parameters():
            if name.startswith("branches.image.backbone."):
                backbone.append(parameter)
            elif name == "branches.radiomics.gates":
                gates.append(parameter)
            # A direction is normalized, so decay would only change its learning rate; the heads' biases have none.
            elif parameter.ndim == 1 or name == "branches.radiomics.directions":
                undecayed.append(parameter)
            else:
                rest.append(parameter)
        return groups

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """The optimizer's step, then the proximal one on the gates."""
        super().optimizer_step(*args, **kwargs)
        if self.penalty == 0 or "radiomics" not in self.network.names:
            return
        gates = self._gates()
        # Once per optimizer step, with that step's rate: the schedule moves on after it.
        groups: Any = self.trainer.optimizers[0].param_groups
        lr = next(group["lr"] for group in groups if any(parameter is gates for parameter in group["params"]))
        proximal_step(gates, strength=self.penalty, lr=lr)

    def _gates(self) -> nn.Parameter:
        return self.network.branches["radiomics"].get_parameter("gates")

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean cross-entropy over the batch, of (B, K) logits; 0 where every weight is.

        Of a rank that has a share of the rows, so much that the mean over the ranks is the loss: so gradients are
        averaged.

        Args:
            logits: (B, K) of the rank's rows.
            labels, weights: (N,) of the whole batch.
        """
        mine = self.rank.rows
        losses = functional.cross_entropy(logits, labels[mine], reduction="none", label_smoothing=self.label_smoothing)
        total = weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
        return self.rank.count * (losses * weights[mine]).sum() / total
