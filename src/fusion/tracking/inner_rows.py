"""What the network says of the inner validation part after an epoch, and the figures of each branch in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, softmax

from fusion.evaluation.discrimination import delong
from fusion.evaluation.ranking import one_vs_rest
from fusion.models.branches import BRANCHES
from fusion.models.network import FusionOutput
from fusion.training.inputs import Batch

# Of an interval that nobody sees.
_LEVEL = 0.95


class InnerRows(NamedTuple):
    """N cases of the inner validation part.

    Attributes:
        logits: (N, K) fused.
        opinions: (N, n_branches, K) logits of each branch alone.
        gates: (N, n_branches); None for a head without gates.
        labels: (N,)
        weights: (N,) in the loss, those of the labels included.
        known: (N, n_branches) whether the case has the branch.
    """

    logits: torch.Tensor
    opinions: torch.Tensor
    gates: torch.Tensor | None
    labels: torch.Tensor
    weights: torch.Tensor
    known: torch.Tensor

    @classmethod
    def of_batch(
        cls, batch: Batch, output: FusionOutput, *, branches: Sequence[str], class_weights: torch.Tensor
    ) -> InnerRows:
        """The rows of a batch, on the CPU, in double precision.

        Args:
            batch: N cases.
            output: What the network says of them.
            branches: Of the network.
            class_weights: (K,) of each label in the loss.
        """
        return cls(
            logits=output.logits.double().cpu(),
            opinions=output.opinions.double().cpu(),
            gates=None if output.gates is None else output.gates.double().cpu(),
            labels=batch.labels.cpu(),
            weights=(batch.weights * class_weights[batch.labels]).double().cpu(),
            known=batch.present[:, [BRANCHES.index(name) for name in branches]].cpu(),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[InnerRows]) -> InnerRows:
        """The rows of all batches of a network."""
        gates = [part.gates for part in parts if part.gates is not None]
        return cls(
            logits=torch.cat([part.logits for part in parts]),
            opinions=torch.cat([part.opinions for part in parts]),
            gates=torch.cat(gates) if gates else None,
            labels=torch.cat([part.labels for part in parts]),
            weights=torch.cat([part.weights for part in parts]),
            known=torch.cat([part.known for part in parts]),
        )

    def figures(self, branches: Sequence[str]) -> dict[str, float]:
        """Loss, AUC and mean gate of each branch, by the names they are logged under; what is undefined is left out.

        Args:
            branches: Of the network.
        """
        figures = {}
        for i, branch in enumerate(branches):
            rows = self.known[:, i]
            if rows.any():
                opinions, labels, weights = self.opinions[rows, i], self.labels[rows], self.weights[rows]
                losses = cross_entropy(opinions, labels, reduction="none")
                figures[f"validation/loss_{branch}"] = float((losses * weights).sum() / weights.sum())
                figures[f"validation/auc_{branch}"] = _auc(labels.numpy(), softmax(opinions, dim=1).numpy())
            if self.gates is not None:
                figures[f"gate/{branch}"] = float(self.gates[:, i].mean())
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    def probabilities(self, class_weights: torch.Tensor) -> NDArray[np.float64]:
        """(N, K) of the training part's prevalence, as those of the fitted model are.

        Args:
            class_weights: (K,) of each label in the loss, which the probabilities are freed of.
        """
        shifted = self.logits - class_weights.double().cpu().log()
        return np.asarray(softmax(shifted, dim=1).numpy(), dtype=np.float64)


def _auc(labels: NDArray[Any], probabilities: NDArray[np.float64]) -> float:
    """Mean of the one-vs-rest AUCs, which of two labels are the same; NaN where a label is missing."""
    return float(np.mean([delong(*column, level=_LEVEL).value for column in one_vs_rest(labels, probabilities)]))
