"""The ROC curve and the areas under it that have no closed interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import Floats
from fusion.evaluation.delong import newcombe_interval
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.proportion import wilson_interval
from fusion.evaluation.ranking import one_vs_rest, ranking_estimate, without_a_label
from fusion.evaluation.scores import Labels01, Patients, Scores, check_scores


class RocCurve(NamedTuple):
    """Points of the ROC curve, from (0, 0) to (1, 1); a row is called positive from ``thresholds`` upwards.

    Attributes:
        false_positive_rate, true_positive_rate: (T,) in [0, 1], rising.
        thresholds: (T,) falling, the first infinite.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def roc_curve(labels01: Labels01, scores: Scores) -> RocCurve:
    """The corners of the ROC curve, one per distinct score.

    Raises:
        ValueError: Where a label is missing.
    """
    check_scores(labels01, scores)
    n_positive = int(labels01.sum())
    n_negative = len(labels01) - n_positive
    if not n_positive or not n_negative:
        raise ValueError(f"ROC curve: required both labels, came {n_positive} positive and {n_negative} negative rows")
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.cumsum(labels01[order])[last_of_ties]
    false = last_of_ties + 1 - true
    return RocCurve(
        false_positive_rate=np.append(0, false / n_negative),
        true_positive_rate=np.append(0, true / n_positive),
        thresholds=np.append(np.inf, scores[order][last_of_ties]),
    )


def auc_of_counts(positive: Floats, negative: Floats) -> Floats:
    """Positive and negative rows (B, G) at each distinct score, from the highest to the lowest → (B,) AUCs."""
    n_negative = negative.sum(1, keepdims=True)
    wins = positive * (n_negative - np.cumsum(negative, axis=1) + negative / 2)
    return np.asarray(wins.sum(1) / (positive.sum(1) * n_negative[:, 0]))


def bootstrap_auc(
    labels01: Labels01, scores: Scores, *, level: float, n_bootstrap: int, seed: int, patients: Patients = None
) -> Estimate:
    """AUC with the BCa bootstrap of patients within labels, to set beside ``delong``; higher is better, 0.5 is chance.

    Where no replicate differs from another (labels perfectly separated, or all scores equal) or a label has one
    patient, the interval is Newcombe's, as in ``delong``.

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
        auc_of_counts,
        lambda auc, sizes: newcombe_interval(auc, int(sizes[1]), int(sizes[0]), level=level),
        level=level,
        n_bootstrap=n_bootstrap,
        seed=seed,
        patients=patients,
    )


def macro_auc(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Mean of the K one-vs-rest AUCs (Provost & Domingos, unweighted); higher is better, 0.5 is chance.

    The interval is the BCa bootstrap of patients within labels. Where no replicate differs from another, or a label
    has one patient, it is the mean of the K Newcombe intervals around the macro AUC, which is wide rather than narrow.

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

    def fall_back(auc: float, sizes: NDArray[np.int64]) -> tuple[float, float]:
        limits = [newcombe_interval(auc, int(size), int(sizes.sum() - size), level=level) for size in sizes]
        low, high = np.mean(limits, axis=0)
        return float(low), float(high)

    return without_a_label(labels, probabilities.shape[1], patients) or ranking_estimate(
        labels,
        one_vs_rest(labels, probabilities),
        auc_of_counts,
        fall_back,
        level=level,
        n_bootstrap=n_bootstrap,
        seed=seed,
        patients=patients,
    )


def partial_auc(
    labels01: Labels01,
    scores: Scores,
    *,
    above_specificity: float,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Area under the part of the ROC curve whose specificity is at least a bound, standardized; higher is better.

    The area A over false positive rates [0, f], f = 1 - ``above_specificity``, becomes
    (1 + (A - f²/2) / (f - f²/2)) / 2 (McClish, Med Decis Making 1989;9:190-195), as with pROC's
    ``partial.auc.correct = TRUE``: 1 is perfect and 0.5 chance whatever the bound. A curve below the diagonal comes
    out below 0.5, where pROC by default gives no figure.

    The interval is the BCa bootstrap of patients within labels. Where no replicate differs from another, or a label
    has one patient, it is Wilson's of A / f, the mean sensitivity of that part, as a share of the positive patients
    or of the negative ones within that part, whichever are fewer.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        scores: (N,) finite, higher for the positive label.
        above_specificity: In [0, 1); 0 gives the whole AUC.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN where a label is missing.

    Raises:
        ValueError: For a bound outside [0, 1), labels other than 0 and 1, scores that are not finite, or lengths that
            differ.
    """
    check_scores(labels01, scores)
    if not 0 <= above_specificity < 1:
        raise ValueError(f"above_specificity: required at least 0 and below 1, came {above_specificity}")
    most_false = 1 - above_specificity
    chance = most_false / 2

    def figure(positive: Floats, negative: Floats) -> Floats:
        return _standardize(_mean_sensitivity(positive, negative, most_false), chance)

    def fall_back(value: float, sizes: NDArray[np.int64]) -> tuple[float, float]:
        mean_sensitivity = min(max(chance + (2 * value - 1) * (1 - chance), 0.0), 1.0)
        limits = wilson_interval(mean_sensitivity, min(float(sizes[1]), most_false * float(sizes[0])), level=level)
        low, high = _standardize(np.array(limits), chance)
        return float(low), float(high)

    return without_a_label(labels01, 2, patients) or ranking_estimate(
        labels01,
        [(labels01, scores)],
        figure,
        fall_back,
        level=level,
        n_bootstrap=n_bootstrap,
        seed=seed,
        patients=patients,
    )


def _mean_sensitivity(positive: Floats, negative: Floats, most_false: float) -> Floats:
    """Mean height of the ROC curve over false positive rates up to ``most_false``; straight lines between corners."""
    steps = negative / negative.sum(1, keepdims=True)
    to = np.cumsum(steps, axis=1)
    widths = np.clip(most_false - (to - steps), 0, steps)
    rises = positive / positive.sum(1, keepdims=True)
    before = np.cumsum(rises, axis=1) - rises
    share = np.divide(widths, steps, out=np.zeros_like(widths), where=steps > 0)
    return np.asarray((widths * (before + rises * share / 2)).sum(1) / most_false)


def _standardize(mean_sensitivity: Floats, chance: float) -> Floats:
    return (1 + (mean_sensitivity - chance) / (1 - chance)) / 2
