"""The L1 penalty on the radiomics gates, by proximal steps, so that zeros are exact."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.errors import FusionError

# The l1 that is half of the penalty which no feature withstands.
_HALF = 1e-3


def penalty_strength(l1: float) -> float:
    """``l1`` as a part of the penalty that no feature withstands, in [0, 1): 0 keeps all, near 1 none.

    It saturates, so that the decades 1e-4 to 1e-2 span the way from nearly all features (0.09) over half of the penalty
    (1e-3: 0.5) to a handful (0.91), whatever the cohort.

    Raises:
        FusionError: If it is negative.
    """
    if l1 < 0:
        raise FusionError(f"l1: required 0 or more, came {l1}; 0 keeps every feature")
    return l1 / (l1 + _HALF)


def starting_gates(radiomics: Tensor, labels: Tensor, weights: Tensor, *, n_labels: int, strength: float) -> Tensor:
    """Gates after the first proximal step of an L1-penalized logistic regression, scaled to a score of variance 1.

    A feature starts open only if the gradient of the mean loss at zero exceeds ``strength`` times lambda_max, the
    largest of all features' gradients and the smallest penalty that keeps no feature (Friedman et al., J Stat Softw
    33(1), 2010, sec. 2.5).

    Args:
        radiomics: (N, F) standardized training features.
        labels: (N,) training labels.
        weights: (N,) of each case in the loss.
        n_labels: K; the gradient is the positive (last) label's.
        strength: See ``penalty_strength``.

    Returns:
        (F,) gates, signed towards the positive label.
    """
    one_hot = torch.nn.functional.one_hot(labels, n_labels).to(radiomics.dtype)
    share = weights / weights.sum()
    residuals = (one_hot - (share[:, None] * one_hot).sum(0)) * share[:, None]
    gradient = (radiomics.T @ residuals)[:, -1]
    gates = gradient.sign() * (gradient.abs() - strength * gradient.abs().max()).clamp(min=0)
    spread = float((radiomics @ gates).std())
    return gates / spread if spread > 0 else gates


@torch.no_grad()
def proximal_step(gates: Tensor, *, strength: float, lr: float) -> None:
    """Soft-threshold the gates in place by ``lr * strength``: the proximal step of an L1 penalty.

    It is decoupled from Adam's scaling of the gradient, as AdamW decouples weight decay (Loshchilov & Hutter, ICLR
    2019). Adam moves a gate by at most about ``lr``, and by that much only where its gradient always points one way; so
    a feature stays where the mean of its gradient exceeds ``strength`` times its root mean square.

    Args:
        gates: (F,)
        strength: See ``penalty_strength``.
        lr: Learning rate of the step just taken.
    """
    gates.copy_(gates.sign() * (gates.abs() - lr * strength).clamp(min=0))
