"""How far apart the AUCs of two models are on the same rows, with two labels or more."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from fusion.evaluation.bootstrap import bca_of_weights, bootstrap_weights
from fusion.evaluation.delong import PairedDifference
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index
from fusion.evaluation.ranking import ranked_rows
from fusion.evaluation.scores import Patients

Floats = NDArray[np.float64]


class FoldDifferences(NamedTuple):
    """One model's AUC less the other's, fold by fold.

    Attributes:
        folds: Numbers of the folds whose test part has every label.
        values: (J,) their differences.
        left_out: The other folds.
    """

    folds: tuple[int, ...]
    values: Floats
    left_out: tuple[int, ...]


def auc(labels: NDArray[np.int64], scores: Floats) -> float:
    """AUC, or the mean of the one-vs-rest AUCs with more than two labels; NaN where a label is missing.

    Args:
        labels: (N,) 0 to K - 1.
        scores: (N,) of the label 1 with two labels, else (N, K).
    """
    columns = _columns(labels, scores)
    values = []
    for is_positive, of_label in columns:
        n_positive = int(is_positive.sum())
        n_negative = len(labels) - n_positive
        if not n_positive or not n_negative:
            return math.nan
        wins = rankdata(of_label)[is_positive == 1].sum() - n_positive * (n_positive + 1) / 2
        values.append(wins / (n_positive * n_negative))
    return float(np.mean(values))


def fold_differences(
    labels: NDArray[np.int64], first: Floats, second: Floats, folds: NDArray[np.int64]
) -> FoldDifferences:
    """AUC of ``first`` less that of ``second`` within each fold; scores as of ``auc``."""
    values = {
        int(fold): auc(labels[rows], first[rows]) - auc(labels[rows], second[rows])
        for fold in np.unique(folds)
        for rows in [folds == fold]
    }
    defined = {fold: value for fold, value in values.items() if not math.isnan(value)}
    left_out = tuple(fold for fold in values if fold not in defined)
    return FoldDifferences(tuple(defined), np.array(list(defined.values()), dtype=np.float64), left_out)


def bootstrap_difference(
    labels: NDArray[np.int64],
    first: Floats,
    second: Floats,
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> PairedDifference:
    """AUC of ``first`` less that of ``second``, both on the same resampled patients.

    Patients are drawn within labels; the interval is BCa. p is twice the share of replicates on the other side of 0
    (Efron & Tibshirani 1993, section 15.4; equal ones count for both sides, and the data themselves as a replicate),
    so it is at least 2 / (replicates + 1).

    Args:
        labels: (N,) 0 to K - 1.
        first, second: (N,) of the label 1 with two labels, else (N, K), whose AUC is the mean one-vs-rest.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The difference, above 0 where ``first`` is better; NaN where a label is missing. Where no replicate differs
        from another there is no interval, and p is 1 for a difference of 0, else NaN.
    """
    index = patient_index(patients, len(labels))
    n_patients = int(index.max(initial=-1)) + 1
    value = auc(labels, first) - auc(labels, second)
    if math.isnan(value):
        return PairedDifference(undefined(n_patients), math.nan)
    strata = np.zeros(n_patients, dtype=np.int64)
    strata[index] = labels
    pairs = [[ranked_rows(*column, index) for column in _columns(labels, scores)] for scores in (first, second)]

    def statistic(weights: Floats) -> Floats:
        sides = [np.mean([_area(*ranked.counts(weights)) for ranked in side], axis=0) for side in pairs]
        return np.asarray(sides[0] - sides[1])

    low, high = bca_of_weights(strata, statistic, level=level, n_bootstrap=n_bootstrap, seed=seed)
    drawn = bootstrap_weights(strata, n_bootstrap=n_bootstrap, seed=seed)
    p = _p(np.concatenate([statistic(chunk) for chunk in drawn]))
    return PairedDifference(Estimate(value=value, ci_low=low, ci_high=high, n=n_patients), p)


def _columns(labels: NDArray[np.int64], scores: Floats) -> list[tuple[NDArray[np.int64], Floats]]:
    if scores.ndim == 1:
        return [(labels, scores)]
    return [((labels == k).astype(np.int64), scores[:, k]) for k in range(scores.shape[1])]


def _area(positive: Floats, negative: Floats) -> Floats:
    """(b, G) rows at each distinct score, from the highest → (b,) AUCs, ties counted half."""
    n_negative = negative.sum(1, keepdims=True)
    wins = positive * (n_negative - np.cumsum(negative, axis=1) + negative / 2)
    return np.asarray(wins.sum(1) / (positive.sum(1) * n_negative[:, 0]))


def _p(replicates: Floats) -> float:
    # Equal AUCs may differ by rounding.
    rounded = np.where(np.abs(replicates) <= 1e-12, 0.0, replicates)
    if np.ptp(rounded) <= 1e-12 and rounded[0] != 0:
        return math.nan
    fewer = min(int(np.sum(rounded <= 0)), int(np.sum(rounded >= 0)))
    return min(1.0, 2 * (1 + fewer) / (1 + len(rounded)))
