"""Figures of a ranking of weighted patients, many sets of weights at once, with their bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import Floats, bca_of_weights
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index
from fusion.evaluation.scores import Labels01, Patients, Scores

# Positive and negative rows (B, G) at each distinct score, from the highest to the lowest → (B,) figures.
Figure = Callable[[Floats, Floats], Floats]
# The figure, and the number of patients (K,) of each label → the limits where the bootstrap shows none.
FallBack = Callable[[float, NDArray[np.int64]], tuple[float, float]]


class RankedRows(NamedTuple):
    """Rows from the highest score to the lowest.

    Attributes:
        patients: (N,) the patient of each row, counted from 0.
        is_positive: (N,)
        starts: (G,) the first row of each distinct score.
    """

    patients: NDArray[np.int64]
    is_positive: NDArray[np.bool_]
    starts: NDArray[np.int64]

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """(B, P) weights → positive and negative rows (B, G) at each distinct score."""
        rows = np.take(weights, self.patients, axis=1)
        every = np.add.reduceat(rows, self.starts, axis=1)
        positive = np.add.reduceat(rows * self.is_positive, self.starts, axis=1)
        return positive, every - positive


def ranked_rows(labels01: Labels01, scores: Scores, index: NDArray[np.int64]) -> RankedRows:
    """Sort the rows, once for all weights."""
    order = np.argsort(-scores, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(scores[order])) + 1)
    return RankedRows(index[order], labels01[order] == 1, starts)


def ranking_estimate(
    labels: NDArray[np.int64],
    columns: Sequence[tuple[Labels01, Scores]],
    figure: Figure,
    fall_back: FallBack,
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients,
) -> Estimate:
    """A figure of a ranking, or the mean of several, with the BCa interval of patients within labels.

    Args:
        labels: (N,) 0 to K - 1: the strata.
        columns: 0/1 labels (N,) and scores (N,) of each ranking.
        figure: Of one ranking.
        fall_back: The limits where no replicate differs from another, or a label has a single patient, who is then
            drawn every time.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.
    """
    index = patient_index(patients, len(labels))
    strata = np.zeros(len(np.unique(index)), dtype=np.int64)
    strata[index] = labels
    rankings = [ranked_rows(*column, index) for column in columns]

    def statistic(weights: Floats) -> Floats:
        return np.asarray(np.mean([figure(*ranking.counts(weights)) for ranking in rankings], axis=0))

    value = float(statistic(np.ones((1, len(strata))))[0])
    sizes = np.bincount(strata)
    low, high = math.nan, math.nan
    if sizes.min() > 1:
        low, high = bca_of_weights(strata, statistic, level=level, n_bootstrap=n_bootstrap, seed=seed)
    if math.isnan(low):
        low, high = fall_back(value, sizes)
    return Estimate(value=value, ci_low=low, ci_high=high, n=len(strata))


def one_vs_rest(labels: NDArray[np.int64], probabilities: Floats) -> list[tuple[Labels01, Scores]]:
    """0/1 labels and probabilities of each of the K labels."""
    one_hot = np.eye(probabilities.shape[1], dtype=np.int64)[labels]
    return list(zip(one_hot.T, probabilities.T, strict=True))


def without_a_label(labels: NDArray[np.int64], n_labels: int, patients: Patients) -> Estimate | None:
    """The undefined estimate where one of ``n_labels`` labels is missing, else None."""
    if len(np.unique(labels)) == n_labels:
        return None
    return undefined(len(np.unique(patient_index(patients, len(labels)))))
