"""The L1 penalty on the radiomics gates, by proximal steps, so that zeros are exact."""

from __future__ import annotations

import torch
from torch import Tensor

# l1 = 1e-2 is half of the penalty at which an L1-penalized logistic regression keeps no feature at all.
_HALF_WAY = 50.0


def penalty_scale(radiomics: Tensor, labels: Tensor, weights: Tensor, n_labels: int) -> float:
    """What ``l1`` is multiplied by: a multiple of lambda_max, so that one range of ``l1`` fits every cohort.

    lambda_max is the smallest penalty at which L1-penalized logistic regression has no feature left: the largest
    absolute gradient of the mean loss at zero weights (Friedman et al., J Stat Softw 33(1), 2010, sec. 2.5).

    Args:
        radiomics: (N, F) standardized training features.
        labels: (N,) training labels.
        weights: (N,) of each case in the loss.
        n_labels: K.
    """
    one_hot = torch.nn.functional.one_hot(labels, n_labels).to(radiomics.dtype)
    share = weights / weights.sum()
    residuals = (one_hot - (share[:, None] * one_hot).sum(0)) * share[:, None]
    return _HALF_WAY * float((radiomics.T @ residuals).abs().max())


@torch.no_grad()
def proximal_step(gates: Tensor, *, penalty: float, lr: float, curvature: Tensor) -> None:
    """Soft-threshold the gates in place, in the metric of the optimizer's step.

    An Adam step divides each coordinate's gradient by ``curvature``, so the threshold is divided by it too: the fixed
    points are then those of the penalized loss (Yun, Lozano & Yang, NeurIPS 2021).

    Args:
        gates: (F,)
        penalty: Weight of the sum of absolute gates in the loss.
        lr: Learning rate of the step just taken.
        curvature: (F,) root of Adam's second moment, bias corrected, plus its epsilon.
    """
    gates.copy_(gates.sign() * (gates.abs() - lr * penalty / curvature).clamp(min=0))
