"""Whether a probability of 0.3 means three in ten."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from fusion.calibration.logistic import bounded_logit, fit_logistic
from fusion.evaluation.bootstrap import bca_of_totals
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.operating_point import proportion
from fusion.evaluation.patients import patient_index, totals
from fusion.evaluation.risk_groups import risk_groups

Patients = Sequence[object] | NDArray[np.int64] | None
# A probability of exactly 0 or 1 has no logit; this is about what a softmax in float32 can still tell from them.
_NEAREST_TO_CERTAIN = 1e-6
# Logits that are closer differ by rounding.
_SAME_LOGIT = 1e-6


class ReliabilityBin(NamedTuple):
    """Rows of similar probability.

    Attributes:
        predicted: Mean probability of the positive label.
        observed: Share of rows with the positive label.
        ci_low, ci_high: Wilson's interval of ``observed``.
        n: Rows.
    """

    predicted: float
    observed: float
    ci_low: float
    ci_high: float
    n: int


def brier(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Mean squared error of the probabilities (Brier, Mon Weather Rev 1950;78:1-3); lower is better, 0 is perfect.

    With two labels it is that of the positive one alone, in [0, 1] (0.25 for a constant 0.5); with more the sum over
    labels, in [0, 2]. The interval is a BCa bootstrap of patients, not stratified: prevalence varies too; NaN where all
    errors are the same.

    Args:
        labels: (N,) 0 to K - 1; at least one row.
        probabilities: (N, K)
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.
    """
    by_patient = _brier_totals(labels, probabilities, patients)
    return _figure(by_patient, _mean_error, level=level, n_bootstrap=n_bootstrap, seed=seed)


def brier_scaled(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Scaled Brier score, 1 - Brier / Brier of the prevalence given to all; higher is better.

    1 is perfect, 0 no better than knowing the prevalence of these very rows, and below 0 worse (Steyerberg et al.,
    Epidemiology 2010;21:128-138). The interval is a BCa bootstrap as that of ``brier``, and never above 1.

    Args:
        labels: (N,) 0 to K - 1; at least one row.
        probabilities: (N, K)
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN where all rows have one label.
    """
    by_patient = _brier_totals(labels, probabilities, patients)
    return _figure(by_patient, _scaled_error, level=level, n_bootstrap=n_bootstrap, seed=seed)


def calibration(
    labels01: NDArray[np.int64], probabilities: NDArray[np.float64], *, level: float, patients: Patients = None
) -> dict[str, Estimate]:
    """Calibration intercept and slope by logistic recalibration (Cox 1958; Van Calster et al. 2016).

    The intercept (calibration in the large) is that of logit P(y) = a + logit(p): 0 is best, above 0 risks were given
    too low. The slope is b of logit P(y) = a + b logit(p): 1 is best, below 1 the probabilities are too extreme.
    The intervals are Wald's, by the observed information, or clustered (Liang & Zeger 1986) where a patient has
    several rows. Probabilities of exactly 0 and 1 are taken for 1e-6 and 1 - 1e-6.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        probabilities: (N,) of the positive label.
        level: Of the intervals.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        ``calibration_intercept`` and ``calibration_slope``; NaN where a label is missing, and the slope also where
        the labels are perfectly separated or all probabilities equal but for rounding: no finite slope fits best then.
    """
    index = patient_index(patients, len(labels01))
    n_patients = len(np.unique(index))
    logits = bounded_logit(probabilities, _NEAREST_TO_CERTAIN)
    ones = np.ones_like(logits)
    if len(np.unique(labels01)) < 2:
        return {"calibration_intercept": undefined(n_patients), "calibration_slope": undefined(n_patients)}
    intercept = _last_coefficient(ones[:, None], logits, labels01, index, level=level)
    if _separated(labels01, logits) or np.ptp(logits) < _SAME_LOGIT:
        slope = undefined(n_patients)
    else:
        slope = _last_coefficient(np.stack([ones, logits], axis=1), 0 * logits, labels01, index, level=level)
    return {"calibration_intercept": intercept, "calibration_slope": slope}


def reliability_curve(
    labels01: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    n_bins: int,
    level: float,
    patients: Patients = None,
) -> list[ReliabilityBin]:
    """Observed against predicted, in at most ``n_bins`` bins of about the same number of rows.

    Equal probabilities are never divided, so there may be fewer bins.

    Args:
        labels01: (N,) 1 for the positive label, else 0; at least one row.
        probabilities: (N,) of the positive label.
        n_bins: At most so many.
        level: Of the intervals.
        patients: (N,) the patient of each row; None for a row each.
    """
    index = patient_index(patients, len(labels01))
    bins = risk_groups(probabilities, n_groups=n_bins)
    table = []
    for number in np.unique(bins):
        rows = bins == number
        observed = proportion(labels01[rows], np.ones(rows.sum()), level=level, patients=index[rows])
        predicted = float(probabilities[rows].mean())
        table.append(ReliabilityBin(predicted, observed.value, observed.ci_low, observed.ci_high, int(rows.sum())))
    return table


def _brier_totals(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], patients: Patients
) -> NDArray[np.float64]:
    """(P, K + 1) error of a patient's rows, and their number by label."""
    n_labels = probabilities.shape[1]
    one_hot = np.eye(n_labels)[labels]
    squared = (probabilities - one_hot) ** 2
    errors = squared[:, 1] if n_labels == 2 else squared.sum(1)
    return totals(np.column_stack([errors, one_hot]), patient_index(patients, len(labels)))


def _mean_error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    n_rows = sums[:, 1:].sum(1)
    # Without its only patient nothing is left of a sample.
    error: NDArray[np.float64] = sums[:, 0] / np.where(n_rows > 0, n_rows, math.nan)
    return error


def _scaled_error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = sums[:, 1:]
    n_rows = np.where(counts.sum(1) > 0, counts.sum(1), math.nan)
    # What the shares of the labels score as probabilities; half of it where only the positive label is scored.
    of_prevalence = (n_rows - (counts**2).sum(1) / n_rows) / (2 if counts.shape[1] == 2 else 1)
    has_two_labels = (counts > 0).sum(1) > 1
    scaled: NDArray[np.float64] = 1 - sums[:, 0] / np.where(has_two_labels, of_prevalence, math.nan)
    return scaled


def _figure(
    by_patient: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> Estimate:
    one_stratum = np.zeros(len(by_patient), dtype=np.int64)
    low, high = bca_of_totals(by_patient, one_stratum, statistic, level=level, n_bootstrap=n_bootstrap, seed=seed)
    value = float(statistic(by_patient.sum(0, keepdims=True))[0])
    return Estimate(value=value, ci_low=low, ci_high=high, n=len(by_patient))


def _separated(labels01: NDArray[np.int64], logits: NDArray[np.float64]) -> bool:
    """Whether a threshold divides the labels (touching it allowed), or all logits are the same."""
    positive, negative = logits[labels01 == 1], logits[labels01 == 0]
    return bool(positive.min() >= negative.max() or positive.max() <= negative.min())


def _last_coefficient(
    X: NDArray[np.float64],
    offset: NDArray[np.float64],
    labels01: NDArray[np.int64],
    index: NDArray[np.int64],
    *,
    level: float,
) -> Estimate:
    """Maximum-likelihood logistic regression on (N, C) ``X`` plus an offset; its last coefficient."""
    n_rows = len(X)
    beta = fit_logistic(X, labels01.astype(np.float64), offset=offset, weights=np.ones(n_rows))
    p = expit(X @ beta + offset)
    covariance = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X)
    n_patients = len(np.unique(index))
    if n_patients < n_rows:
        scores = totals(X * (p - labels01)[:, None], index)
        covariance = covariance @ (scores.T @ scores) @ covariance
    value, half = float(beta[-1]), float(norm.ppf((1 + level) / 2)) * math.sqrt(covariance[-1, -1])
    return Estimate(value=value, ci_low=value - half, ci_high=value + half, n=n_patients)
