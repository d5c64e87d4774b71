"""Average precision: the area under the precision-recall curve, without interpolation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import Floats
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.proportion import wilson_interval
from fusion.evaluation.ranking import one_vs_rest, ranking_estimate, without_a_label
from fusion.evaluation.scores import Labels01, Patients, Scores, check_scores


def average_precision(
    labels01: Labels01, scores: Scores, *, level: float, n_bootstrap: int, seed: int, patients: Patients = None
) -> Estimate:
    """Sum over thresholds of (recall gained) × precision; higher is better, the prevalence is chance, 1 is perfect.

    Equal scores share one threshold, as in ``sklearn.metrics.average_precision_score``; nothing is interpolated, which
    would be too high (Davis & Goadrich, ICML 2006).

    The interval is the BCa bootstrap of patients within labels, so it is at the cohort's own prevalence. Where no
    replicate differs from another (labels perfectly separated, or all scores equal), or a label has one patient, it is
    Wilson's with the number of positive patients: average precision is the mean of the precisions at the positive rows
    (its binomial interval: Boyd, Eng & Page, ECML PKDD 2013).

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        scores: (N,) finite, higher for the positive label.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN where a label is missing.

    Raises:
        ValueError: For labels other than 0 and 1, scores that are not finite, or lengths that differ.
    """
    check_scores(labels01, scores)
    return without_a_label(labels01, 2, patients) or ranking_estimate(
        labels01,
        [(labels01, scores)],
        _average_precision,
        lambda value, sizes: wilson_interval(value, float(sizes[1]), level=level),
        level=level,
        n_bootstrap=n_bootstrap,
        seed=seed,
        patients=patients,
    )


def macro_average_precision(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Unweighted mean of the K one-vs-rest average precisions; higher is better, 1 / K is chance, 1 is perfect.

    Chance is the mean prevalence, which is 1 / K however the labels are distributed. Intervals as in
    ``average_precision``, Wilson's with the number of patients of the rarest label.

    Args:
        labels: (N,) 0 to K - 1.
        probabilities: (N, K)
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN where a label is missing.
    """
    return without_a_label(labels, probabilities.shape[1], patients) or ranking_estimate(
        labels,
        one_vs_rest(labels, probabilities),
        _average_precision,
        lambda value, sizes: wilson_interval(value, float(sizes.min()), level=level),
        level=level,
        n_bootstrap=n_bootstrap,
        seed=seed,
        patients=patients,
    )


def _average_precision(positive: Floats, negative: Floats) -> Floats:
    true = np.cumsum(positive, axis=1)
    called = true + np.cumsum(negative, axis=1)
    # Nobody is called before the first patient that was drawn, and nobody is found there either.
    precision = np.divide(true, called, out=np.zeros_like(true), where=called > 0)
    return np.asarray((positive * precision).sum(1) / true[:, -1])
