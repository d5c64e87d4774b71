"""DeLong's interval of the area under the ROC curve, and of the difference of two on the same patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index
from fusion.evaluation.scores import Labels01, Patients, Scores, check_scores


class PairedDifference(NamedTuple):
    """A difference of two figures on the same patients.

    Attributes:
        difference: First minus second, with its interval.
        p: Two-sided, of no difference.
    """

    difference: Estimate
    p: float


def delong(labels01: Labels01, scores: Scores, *, level: float, patients: Patients = None) -> Estimate:
    """AUC with the interval of DeLong on the logit scale; higher is better, 0.5 is chance.

    The variance is DeLong's (Biometrics 1988;44:837-845) from one sort, O(N log N), as Sun & Xu's (IEEE Signal Process
    Lett 2014;21:1389-1393). Where a patient has several rows it is that of clustered data (Obuchowski, Biometrics
    1997;53:567-578), which is DeLong's for one row each. The limits are logit(AUC) ± z SE / (AUC (1 - AUC)), so they
    stay within (0, 1) (advised by Perme & Manevski, Stat Methods Med Res 2019;28:3755-3768).

    Where this variance is 0 (labels perfectly separated, or all scores equal) or undefined (a label with one
    patient), an interval of width 0 would be a lie; it is then Newcombe's score interval (Stat Med 2006;25:559-573,
    method 5), which inverts the variance of Hanley and McNeil and reaches 1 for an AUC of 1.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        scores: (N,) finite, higher for the positive label.
        level: Of the interval, e.g. 0.95.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN where a label is missing.

    Raises:
        ValueError: For labels other than 0 and 1, scores that are not finite, or lengths that differ.
    """
    check_scores(labels01, scores)
    index = patient_index(patients, len(labels01))
    n_patients = int(index.max(initial=-1)) + 1
    influence = _auc_influence(labels01, scores, index, n_patients)
    return undefined(n_patients) if influence is None else _estimate([influence], level=level)


def delong_fold_mean(
    labels01: Labels01, scores: Scores, folds: NDArray[np.int64], *, level: float, patients: Patients = None
) -> Estimate:
    """Mean over folds of each fold's own AUC: unlike the pooled AUC it never compares scores of two models.

    The interval rests on the patients' DeLong components, added up over the folds, and treats the fold models as
    fixed. The common mean ± t SD / √k is not used: it takes the folds for independent repetitions, and with shared
    training patients no unbiased estimate of that variance exists (Bengio & Grandvalet, JMLR 2004;5:1089-1105).

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        scores: (N,) finite, higher for the positive label.
        folds: (N,) fold of each row. A fold without both labels has no AUC and is left out, with its patients.
        level: Of the interval.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN where no fold holds both labels.
    """
    check_scores(labels01, scores)
    index = patient_index(patients, len(labels01))
    n_patients = int(index.max(initial=-1)) + 1
    parts = [
        _auc_influence(labels01[rows], scores[rows], index[rows], n_patients)
        for rows in (folds == fold for fold in np.unique(folds))
    ]
    defined = [part for part in parts if part is not None]
    return _estimate(defined, level=level) if defined else undefined(0)


def delong_difference(
    labels01: Labels01, first: Scores, second: Scores, *, level: float, patients: Patients = None
) -> PairedDifference:
    """AUC of ``first`` minus AUC of ``second`` on the same rows, with DeLong's paired test.

    The variance is that of the differences of the patients' components (DeLong et al., Biometrics 1988;44:837-845;
    clustered as Obuchowski, Biometrics 1997;53:567-578, where patients have several rows), the interval Wald's, cut
    off at -1 and 1: both as in pROC's ``roc.test(paired = TRUE)``.

    Where that variance is 0 or undefined:
        - Scores that rank the rows alike: difference 0, interval [0, 0] (no data could tell them apart), p = 1.
        - Anything else (both perfect in different ways, one constant and one perfect, a label with one patient): the
          interval from the two AUCs' own Newcombe intervals by the method of variance estimates recovery (Zou &
          Donner, Stat Med 2008;27:1693-1702) without their correlation: too wide where the models agree on patients.
          p is 1 minus the level at which it first touches 0.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        first: (N,) finite, higher for the positive label.
        second: (N,) the other model's on the same rows.
        level: Of the interval.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The difference in [-1, 1], above 0 where ``first`` is better, and p; NaN where a label is missing.

    Raises:
        ValueError: For labels other than 0 and 1, scores that are not finite, or lengths that differ.
    """
    check_scores(labels01, first)
    check_scores(labels01, second)
    index = patient_index(patients, len(labels01))
    n_patients = int(index.max(initial=-1)) + 1
    one = _auc_influence(labels01, first, index, n_patients)
    other = _auc_influence(labels01, second, index, n_patients)
    if one is None or other is None:
        return PairedDifference(undefined(n_patients), math.nan)
    value = one.auc - other.auc
    variance = float(np.sum((one.contributions - other.contributions) ** 2))
    z = float(norm.ppf((1 + level) / 2))
    if variance > 0:
        error = math.sqrt(variance)
        low, high, p = value - z * error, value + z * error, 2 * float(norm.sf(abs(value) / error))
    elif np.array_equal(_ranks(first), _ranks(second)):
        low, high, p = 0.0, 0.0, 1.0
    else:
        (low, high), p = _recovered_interval(one, other, z), _recovered_p(one, other)
    return PairedDifference(Estimate(value=value, ci_low=max(low, -1.0), ci_high=min(high, 1.0), n=n_patients), p)


def newcombe_interval(auc: float, n_positive: int, n_negative: int, *, level: float) -> tuple[float, float]:
    """Score interval of an AUC (Newcombe, Stat Med 2006;25:559-573, method 5), within [0, 1].

    Args:
        auc: In [0, 1].
        n_positive: Patients of the positive label, at least 1.
        n_negative: The others, at least 1.
        level: Of the interval.
    """
    return _newcombe_limits(auc, n_positive, n_negative, float(norm.ppf((1 + level) / 2)))


class _Influence(NamedTuple):
    """An AUC, and what each patient adds to its error: the sum of the squares is the variance.

    Attributes:
        contributions: (P,) 0 for a patient who has no row here.
        present: (P,) who has one.
        n_positive, n_negative: Patients with rows of each label.
    """

    auc: float
    contributions: NDArray[np.float64]
    present: NDArray[np.bool_]
    n_positive: int
    n_negative: int


def _auc_influence(labels01: Labels01, scores: Scores, index: NDArray[np.int64], n_patients: int) -> _Influence | None:
    is_positive = labels01 == 1
    n_positive = int(is_positive.sum())
    n_negative = len(labels01) - n_positive
    if not n_positive or not n_negative:
        return None
    distinct, inverse = np.unique(scores, return_inverse=True)
    positives = np.bincount(inverse[is_positive], minlength=len(distinct))
    negatives = np.bincount(inverse[~is_positive], minlength=len(distinct))
    # Rows of the other label that each row is on the right side of; a tie counts half.
    won_by_positive = ((np.cumsum(negatives) - negatives / 2) / n_negative)[inverse[is_positive]]
    won_by_negative = ((n_positive - np.cumsum(positives) + positives / 2) / n_positive)[inverse[~is_positive]]
    auc = float(won_by_positive.mean())
    positive, in_positive = _side(index[is_positive], won_by_positive - auc, n_patients)
    negative, in_negative = _side(index[~is_positive], won_by_negative - auc, n_patients)
    return _Influence(
        auc, positive + negative, in_positive | in_negative, int(in_positive.sum()), int(in_negative.sum())
    )


def _side(
    index: NDArray[np.int64], deviations: NDArray[np.float64], n_patients: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """One label's part of the contributions, with the factor I / (I - 1) of a sample variance of I patients."""
    present = np.bincount(index, minlength=n_patients) > 0
    n_side = int(present.sum())
    if n_side < 2:
        return np.full(n_patients, math.nan), present
    sums = np.bincount(index, weights=deviations, minlength=n_patients)
    return sums / len(index) * math.sqrt(n_side / (n_side - 1)), present


def _estimate(parts: Sequence[_Influence], *, level: float) -> Estimate:
    """Mean AUC of the parts with its interval."""
    auc = sum(part.auc for part in parts) / len(parts)
    variance = float(np.sum((sum(part.contributions for part in parts) / len(parts)) ** 2))
    if variance > 0 and 0 < auc < 1:
        low, high = _logit_interval(auc, variance, level=level)
    else:
        sizes = sum(part.n_positive for part in parts), sum(part.n_negative for part in parts)
        low, high = newcombe_interval(auc, *sizes, level=level)
    n_patients = int(np.any([part.present for part in parts], axis=0).sum())
    return Estimate(value=auc, ci_low=low, ci_high=high, n=n_patients)


def _logit_interval(auc: float, variance: float, *, level: float) -> tuple[float, float]:
    center = math.log(auc / (1 - auc))
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance) / (auc * (1 - auc))
    return _expit(center - half), _expit(center + half)


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def _newcombe_limits(auc: float, n_positive: int, n_negative: int, z: float) -> tuple[float, float]:
    """The AUCs whose own Hanley-McNeil variance puts the observed one ``z`` standard errors away."""
    n_star = (n_positive + n_negative) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + n_star * (1 - theta) / (2 - theta) + n_star * theta / (1 + theta)
        return (auc - theta) ** 2 - z**2 * theta * (1 - theta) / (n_positive * n_negative) * spread

    # The root at the AUC itself is not meant. Where it cannot be told from the one beside it, z is next to nothing.
    below, above = auc - 1e-12, auc + 1e-12
    low = 0.0 if auc <= 0 else below if excess(below) >= 0 else float(brentq(excess, 0, below))
    high = 1.0 if auc >= 1 else above if excess(above) >= 0 else float(brentq(excess, above, 1))
    return low, high


def _recovered_interval(one: _Influence, other: _Influence, z: float) -> tuple[float, float]:
    """Interval of a difference from the intervals of its two sides."""
    value = one.auc - other.auc
    low, high = _newcombe_limits(one.auc, one.n_positive, one.n_negative, z)
    other_low, other_high = _newcombe_limits(other.auc, other.n_positive, other.n_negative, z)
    return value - math.hypot(one.auc - low, other_high - other.auc), value + math.hypot(
        high - one.auc, other.auc - other_low
    )


def _recovered_p(one: _Influence, other: _Influence) -> float:
    if one.auc == other.auc:
        return 1.0
    better, worse = (one, other) if one.auc > other.auc else (other, one)
    touching = brentq(lambda z: _recovered_interval(better, worse, z)[0], 0, 40)
    return 2 * float(norm.sf(touching))


def _ranks(scores: Scores) -> NDArray[np.int64]:
    return np.unique(scores, return_inverse=True)[1].astype(np.int64)
