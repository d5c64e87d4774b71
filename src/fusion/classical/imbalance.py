"""What is done about a rare label before a classifier is fitted, and undone in its probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError

IMBALANCE = ("none", "weights", "smote")
# Of SMOTE's paper, where the rarer label has as many other rows.
_N_NEIGHBORS = 5

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def prevalence(y: Labels, weights: Floats) -> float:
    """Weighted share of the positive label, in [0, 1]."""
    return float(weights[y == 1].sum() / weights.sum())


def rebalance(X: Floats, y: Labels, weights: Floats, *, imbalance: str, seed: int) -> tuple[Floats, Labels, Floats]:
    """The rows, labels and weights that a classifier is fitted on; only ever given rows that it may be fitted on.

    Args:
        X: (N, F) on scales that make distances meaningful, since SMOTE looks for neighbors.
        y: (N,) 0 or 1, both present.
        weights: (N,) above 0.
        imbalance: ``none`` changes nothing. ``weights`` multiplies a row's weight by W / (2 W_label), W the sum of all
            weights, so that the labels weigh the same. ``smote`` adds rows of the rarer label between it and its
            nearest rows of that label (Chawla et al., JAIR 2002;16:321-357) until there are as many rows of both;
            an added row weighs what a row of that label does on average.
        seed: Of SMOTE's draws.

    Raises:
        FusionError: If SMOTE has a single row to start from.
    """
    if imbalance == "weights":
        positive = prevalence(y, weights)
        return X, y, weights / (2 * np.where(y == 1, positive, 1 - positive))
    if imbalance == "smote":
        return _with_synthetic_rows(X, y, weights, seed)
    return X, y, weights


def at_prevalence(probabilities: Floats, *, fitted: float, true: float) -> Floats:
    """Probabilities of a model fitted where the positive label's share was ``fitted``, for a share of ``true``.

    Elkan (IJCAI 2001:973-978, theorem 2); in logits it adds logit(true) - logit(fitted). Keeps the order, 0 and 1.

    Args:
        probabilities: (N,) in [0, 1].
        fitted, true: In (0, 1).
    """
    odds = true / (1 - true) * (1 - fitted) / fitted
    # The brackets keep it in [0, 1]: from left to right the sum can fall below its first term by rounding.
    return probabilities * odds / (probabilities * odds + (1 - probabilities))


def _with_synthetic_rows(X: Floats, y: Labels, weights: Floats, seed: int) -> tuple[Floats, Labels, Floats]:
    from imblearn.over_sampling import SMOTE

    rarer = int(np.argmin(np.bincount(y, minlength=2)))
    n_rarer = int(np.sum(y == rarer))
    if n_rarer < 2:
        raise FusionError(
            "imbalance=smote: required two or more training rows of each label to draw new rows between, came "
            f"{n_rarer} of label number {rarer} (counted from 0), in the training part or an inner part of it; "
            "set classifier.imbalance=weights or none"
        )
    smote = SMOTE(k_neighbors=min(_N_NEIGHBORS, n_rarer - 1), random_state=seed)
    # The rows that came stay first, in order.
    rows, labels = smote.fit_resample(X, y)
    added = np.full(len(labels) - len(y), weights[y == rarer].mean())
    return rows, labels, np.concatenate([weights, added])
