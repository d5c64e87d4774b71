"""Area under the ROC curve with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from fusion.evaluation.bootstrap import bootstrap_weights, percentile_interval
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index

Labels01 = NDArray[np.int64]
Scores = NDArray[np.float64]
Patients = Sequence[object] | NDArray[np.int64] | None


class RocCurve(NamedTuple):
    """Points of the ROC curve, from (0, 0) to (1, 1); a row is called positive from ``thresholds`` upwards.

    Attributes:
        false_positive_rate, true_positive_rate: (T,) in [0, 1], rising.
        thresholds: (T,) falling, the first infinite.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    thresholds: NDArray[np.float64]


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
    _check(labels01, scores)
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
    _check(labels01, scores)
    index = patient_index(patients, len(labels01))
    n_patients = int(index.max(initial=-1)) + 1
    parts = [
        _auc_influence(labels01[rows], scores[rows], index[rows], n_patients)
        for rows in (folds == fold for fold in np.unique(folds))
    ]
    defined = [part for part in parts if part is not None]
    return _estimate(defined, level=level) if defined else undefined(0)


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

    The interval is a percentile bootstrap of patients within labels.

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
    index = patient_index(patients, len(labels))
    n_patients = len(np.unique(index))
    if set(labels.tolist()) != set(range(probabilities.shape[1])):
        return undefined(n_patients)
    strata = np.zeros(n_patients, dtype=np.int64)
    strata[index] = labels
    one_hot = np.eye(probabilities.shape[1], dtype=np.int64)[labels]
    pairs = list(zip(one_hot.T, probabilities.T, strict=True))
    value = np.mean([_weighted_auc(*pair, np.ones((1, len(labels)))) for pair in pairs])
    replicates = [
        np.mean([_weighted_auc(*pair, chunk[:, index]) for pair in pairs], axis=0)
        for chunk in bootstrap_weights(strata, n_bootstrap=n_bootstrap, seed=seed)
    ]
    low, high = percentile_interval(np.concatenate(replicates), level=level)
    return Estimate(value=float(value), ci_low=low, ci_high=high, n=n_patients)


def roc_curve(labels01: Labels01, scores: Scores) -> RocCurve:
    """The corners of the ROC curve, one per distinct score.

    Raises:
        ValueError: Where a label is missing.
    """
    _check(labels01, scores)
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
        low, high = _newcombe_interval(auc, *sizes, level=level)
    n_patients = int(np.any([part.present for part in parts], axis=0).sum())
    return Estimate(value=auc, ci_low=low, ci_high=high, n=n_patients)


def _logit_interval(auc: float, variance: float, *, level: float) -> tuple[float, float]:
    center = math.log(auc / (1 - auc))
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance) / (auc * (1 - auc))
    return _expit(center - half), _expit(center + half)


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def _newcombe_interval(auc: float, n_positive: int, n_negative: int, *, level: float) -> tuple[float, float]:
    """The AUCs whose own Hanley-McNeil variance puts the observed one at the edge of their interval."""
    z = float(norm.ppf((1 + level) / 2))
    n_star = (n_positive + n_negative) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + n_star * (1 - theta) / (2 - theta) + n_star * theta / (1 + theta)
        return (auc - theta) ** 2 - z**2 * theta * (1 - theta) / (n_positive * n_negative) * spread

    tiny = 1e-12
    low = 0.0 if auc <= 0 else float(brentq(excess, 0, auc - tiny))
    high = 1.0 if auc >= 1 else float(brentq(excess, auc + tiny, 1))
    return low, high


def _weighted_auc(labels01: Labels01, scores: Scores, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, N) weights → (B,) AUCs, ties counted half."""
    order = np.argsort(scores, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(scores[order])) + 1)
    positive = np.add.reduceat((weights * labels01)[:, order], starts, axis=1)
    negative = np.add.reduceat((weights * (1 - labels01))[:, order], starts, axis=1)
    wins = positive * (np.cumsum(negative, axis=1) - negative / 2)
    auc: NDArray[np.float64] = wins.sum(1) / (positive.sum(1) * negative.sum(1))
    return auc


def _check(labels01: Labels01, scores: Scores) -> None:
    if labels01.shape != scores.shape or labels01.ndim != 1:
        raise ValueError(f"required a label and a score per row, came {labels01.shape} and {scores.shape}")
    if not np.isin(labels01, (0, 1)).all():
        raise ValueError(f"labels: required 0 and 1, came {np.unique(labels01)[:5].tolist()}")
    if not np.isfinite(scores).all():
        raise ValueError(f"scores: required finite numbers, came {int((~np.isfinite(scores)).sum())} that are not")
