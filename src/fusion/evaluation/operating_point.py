"""A threshold, and what it does when it is frozen. A row is called positive where its score is >= the threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from fusion.errors import FusionError
from fusion.evaluation.bootstrap import bootstrap_totals, percentile_interval
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index, totals
from fusion.records import Predictions


class Counts(NamedTuple):
    """The confusion table, in rows."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int


def youden_threshold(labels01: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """The threshold with the largest sensitivity + specificity - 1 (Youden, Cancer 1950;3:32-35).

    Candidates lie midway between neighboring distinct scores, so that none sits on a patient; below them stands the
    lowest score, which calls everybody positive. Of several equally good ones the lowest is taken: the most sensitive.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        scores: (N,) higher for the positive label.

    Raises:
        FusionError: Where a label is missing.
    """
    n_positive = int(labels01.sum())
    n_negative = len(labels01) - n_positive
    if not n_positive or not n_negative:
        raise FusionError(
            f"threshold: required patients of both labels, came {n_positive} positive and {n_negative} negative; "
            "give the part that chooses the threshold more patients"
        )
    distinct, inverse = np.unique(scores, return_inverse=True)
    positives = np.bincount(inverse, weights=labels01)
    negatives = np.bincount(inverse, weights=1 - labels01)
    # In whole numbers, so that equally good thresholds compare equal.
    index = n_negative * np.cumsum(positives[::-1])[::-1] - n_positive * np.cumsum(negatives[::-1])[::-1]
    middles = (distinct[:-1] + distinct[1:]) / 2
    # Between neighboring floats the middle rounds onto one of them; the upper one divides them just the same.
    middles = np.where(middles > distinct[:-1], middles, distinct[1:])
    return float(np.append(distinct[0], middles)[np.argmax(index)])


def choose_threshold(patients: Predictions, *, part: str) -> float | None:
    """Youden's threshold on one part; None with more than two labels.

    Args:
        patients: A row per patient, of one fold.
        part: Never the part that is scored with it: ``validation``.
    """
    if len(patients.label_names) != 2:
        return None
    inner = patients.select(other == part for other in patients.parts)
    labels01 = np.array([label == inner.label_names[1] for label in inner.labels], dtype=np.int64)
    return youden_threshold(labels01, inner.probabilities[:, 1])


def confusion(
    labels01: NDArray[np.int64], scores: NDArray[np.float64], thresholds: float | NDArray[np.float64]
) -> Counts:
    """Counts at a threshold, or at one of each row's own, (N,)."""
    return Counts(*(int(column.sum()) for column in _outcomes(labels01, scores, thresholds).T))


def operating_point(
    labels01: NDArray[np.int64],
    scores: NDArray[np.float64],
    thresholds: float | NDArray[np.float64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Sequence[object] | NDArray[np.int64] | None = None,
) -> dict[str, Estimate]:
    """Figures at a frozen threshold; each lies in [0, 1] and higher is better.

    Proportions have Wilson's interval; balanced accuracy and F1 a percentile bootstrap of patients within labels.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        scores: (N,) higher for the positive label.
        thresholds: One for all, or (N,) for each row its own.
        level: Of the intervals.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        ``sensitivity``, ``specificity``, ``ppv``, ``npv``, ``accuracy``, ``balanced_accuracy`` and ``f1``;
        NaN where nobody is there to count.
    """
    index = patient_index(patients, len(labels01))
    outcomes = _outcomes(labels01, scores, thresholds)
    tp, fp, tn, fn = outcomes.T
    shares = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "accuracy": (tp + tn, tp + fp + tn + fn),
    }
    result = {name: proportion(hits, of, level=level, patients=index) for name, (hits, of) in shares.items()}
    by_patient = totals(outcomes, index)
    strata = np.zeros(len(by_patient), dtype=np.int64)
    strata[index] = labels01
    replicates = bootstrap_totals(by_patient, strata, n_bootstrap=n_bootstrap, seed=seed)
    for name, figure in (("balanced_accuracy", _balanced_accuracy), ("f1", _f1)):
        value = float(figure(outcomes.sum(0, keepdims=True))[0])
        low, high = (math.nan, math.nan) if math.isnan(value) else percentile_interval(figure(replicates), level=level)
        result[name] = Estimate(value=value, ci_low=low, ci_high=high, n=len(by_patient))
    return result


def proportion(
    hits: NDArray[np.float64], of: NDArray[np.float64], *, level: float, patients: NDArray[np.int64]
) -> Estimate:
    """A share of rows with Wilson's interval.

    Where patients have several rows, the effective number of rows is taken, p (1 - p) over the variance between
    patients (Kish 1965; Franco et al., J Surv Stat Methodol 2019;7:334-364), or the number of patients where that
    variance is 0. With a row each it is the number of rows, and the interval Wilson's own.

    Args:
        hits: (N,) 0 or 1: the rows that count for the numerator.
        of: (N,) 0 or 1: those that count for the denominator.
        level: Of the interval.
        patients: (N,) the patient of each row, counted from 0.
    """
    by_patient = totals(np.stack([hits, of], axis=1), patients)
    by_patient = by_patient[by_patient[:, 1] > 0]
    n_patients = len(by_patient)
    if not n_patients:
        return undefined(0)
    n_rows = by_patient[:, 1].sum()
    value = by_patient[:, 0].sum() / n_rows
    variance = np.sum((by_patient[:, 0] - value * by_patient[:, 1]) ** 2) / n_rows**2
    effective = min(value * (1 - value) / variance, n_rows) if variance > 0 else n_patients
    low, high = wilson_interval(float(value), float(effective), level=level)
    return Estimate(value=float(value), ci_low=low, ci_high=high, n=n_patients)


def wilson_interval(value: float, n: float, *, level: float) -> tuple[float, float]:
    """Score interval of a share ``value`` of ``n`` (Wilson, J Am Stat Assoc 1927;22:209-212), within [0, 1]."""
    z = float(norm.ppf((1 + level) / 2))
    center = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    return (0.0 if value == 0 else center - half), (1.0 if value == 1 else center + half)


def _outcomes(
    labels01: NDArray[np.int64], scores: NDArray[np.float64], thresholds: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N, 4) true positive, false positive, true negative, false negative; one 1 in each row."""
    called, is_positive = scores >= thresholds, labels01 == 1
    columns = (called & is_positive, called & ~is_positive, ~called & ~is_positive, ~called & is_positive)
    return np.stack(columns, axis=1).astype(np.float64)


def _balanced_accuracy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    tp, fp, tn, fn = counts.T
    return (_divide(tp, tp + fn) + _divide(tn, tn + fp)) / 2


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    tp, fp, _, fn = counts.T
    return _divide(2 * tp, 2 * tp + fp + fn)


def _divide(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, out=np.full_like(numerator, math.nan), where=denominator > 0)
