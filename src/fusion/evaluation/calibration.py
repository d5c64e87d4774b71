"""Whether a probability of 0.3 means three in ten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import norm

from fusion.evaluation.bootstrap import bootstrap_totals, percentile_interval
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.operating_point import wilson_interval
from fusion.evaluation.patients import patient_index, totals

Patients = Sequence[object] | NDArray[np.int64] | None
# A probability of exactly 0 or 1 has no logit; this is about what a softmax in float32 can still tell from them.
_NEAREST_TO_CERTAIN = 1e-6


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
    labels, in [0, 2]. The interval is a percentile bootstrap of patients, not stratified: prevalence varies too.

    Args:
        labels: (N,) 0 to K - 1.
        probabilities: (N, K)
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.
    """
    n_labels = probabilities.shape[1]
    squared = (probabilities - np.eye(n_labels)[labels]) ** 2
    errors = squared[:, 1] if n_labels == 2 else squared.sum(1)
    index = patient_index(patients, len(labels))
    by_patient = totals(np.stack([errors, np.ones_like(errors)], axis=1), index)
    one_stratum = np.zeros(len(by_patient), dtype=np.int64)
    replicates = bootstrap_totals(by_patient, one_stratum, n_bootstrap=n_bootstrap, seed=seed)
    low, high = percentile_interval(replicates[:, 0] / replicates[:, 1], level=level)
    return Estimate(value=float(errors.mean()), ci_low=low, ci_high=high, n=len(by_patient))


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
        the labels are perfectly separated or all probabilities equal: no finite slope fits best then.
    """
    index = patient_index(patients, len(labels01))
    n_patients = len(np.unique(index))
    logits = logit(np.clip(probabilities, _NEAREST_TO_CERTAIN, 1 - _NEAREST_TO_CERTAIN))
    ones = np.ones_like(logits)
    if len(np.unique(labels01)) < 2:
        return {"calibration_intercept": undefined(n_patients), "calibration_slope": undefined(n_patients)}
    intercept = _last_coefficient(ones[:, None], logits, labels01, index, level=level)
    if _separated(labels01, logits):
        slope = undefined(n_patients)
    else:
        slope = _last_coefficient(np.stack([ones, logits], axis=1), 0 * logits, labels01, index, level=level)
    return {"calibration_intercept": intercept, "calibration_slope": slope}


def reliability_curve(
    labels01: NDArray[np.int64], probabilities: NDArray[np.float64], *, n_bins: int, level: float
) -> list[ReliabilityBin]:
    """Observed against predicted, in at most ``n_bins`` bins of about the same number of rows.

    Equal probabilities are never divided, so there may be fewer bins.
    """
    edges = np.quantile(probabilities, np.linspace(0, 1, n_bins + 1)[1:-1])
    bins = np.searchsorted(edges, probabilities, side="right")
    table = []
    for number in np.unique(bins):
        rows = bins == number
        observed, n = float(labels01[rows].mean()), int(rows.sum())
        low, high = wilson_interval(observed, n, level=level)
        table.append(ReliabilityBin(float(probabilities[rows].mean()), observed, low, high, n))
    return table


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

    def loss(beta: NDArray[np.float64]) -> float:
        eta = X @ beta + offset
        return float(np.mean(np.logaddexp(0, eta) - labels01 * eta))

    def gradient(beta: NDArray[np.float64]) -> NDArray[np.float64]:
        slope: NDArray[np.float64] = X.T @ (expit(X @ beta + offset) - labels01) / n_rows
        return slope

    def hessian(beta: NDArray[np.float64]) -> NDArray[np.float64]:
        p = expit(X @ beta + offset)
        information: NDArray[np.float64] = (X * (p * (1 - p))[:, None]).T @ X / n_rows
        return information

    fit = minimize(loss, np.zeros(X.shape[1]), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-9})
    covariance = np.linalg.inv(hessian(fit.x) * n_rows)
    n_patients = len(np.unique(index))
    if n_patients < n_rows:
        scores = totals(X * (expit(X @ fit.x + offset) - labels01)[:, None], index)
        covariance = covariance @ (scores.T @ scores) @ covariance
    value, half = float(fit.x[-1]), float(norm.ppf((1 + level) / 2)) * math.sqrt(covariance[-1, -1])
    return Estimate(value=value, ci_low=value - half, ci_high=value + half, n=n_patients)
