"""Shares of rows, with intervals that know which rows belong to one patient."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import totals

Rows = NDArray[np.float64] | NDArray[np.bool_]


class Share(NamedTuple):
    """A share of rows.

    Attributes:
        value: In [0, 1]; NaN without rows.
        n_effective: Independent rows that would say as much.
        n_patients: Patients who have a row.
    """

    value: float
    n_effective: float
    n_patients: int

    @property
    def complement(self) -> Share:
        """The share of the other rows."""
        return self._replace(value=1 - self.value)


def share(hits: Rows, of: Rows, patients: NDArray[np.int64]) -> Share:
    """The share of the rows ``of`` that are ``hits``.

    Where patients have several rows, the effective number of rows is p (1 - p) over the variance between patients
    (Kish 1965; Franco et al., J Surv Stat Methodol 2019;7:334-364), or the number of patients where that variance
    is 0. With a row each it is the number of rows.

    Args:
        hits: (N,) 0 or 1: the rows that count for the numerator, where they count for the denominator.
        of: (N,) 0 or 1: those that count for the denominator.
        patients: (N,) the patient of each row, counted from 0.
    """
    by_patient = totals(np.stack([hits * of, of], axis=1).astype(np.float64), patients)
    by_patient = by_patient[by_patient[:, 1] > 0]
    n_patients = len(by_patient)
    if not n_patients:
        return Share(math.nan, 0.0, 0)
    n_rows = by_patient[:, 1].sum()
    value = by_patient[:, 0].sum() / n_rows
    variance = np.sum((by_patient[:, 0] - value * by_patient[:, 1]) ** 2) / n_rows**2
    effective = min(value * (1 - value) / variance, n_rows) if variance > 0 else n_patients
    return Share(float(value), float(effective), n_patients)


def proportion(hits: Rows, of: Rows, *, level: float, patients: NDArray[np.int64]) -> Estimate:
    """A share of rows with Wilson's interval for its effective number of rows; arguments as of ``share``."""
    value, n_effective, n_patients = share(hits, of, patients)
    if not n_patients:
        return undefined(0)
    low, high = wilson_interval(value, n_effective, level=level)
    return Estimate(value=value, ci_low=low, ci_high=high, n=n_patients)


def binary_shares(
    positive: NDArray[np.bool_], called: NDArray[np.bool_], *, level: float, patients: NDArray[np.int64]
) -> dict[str, Estimate]:
    """``sensitivity``, ``specificity``, ``ppv``, ``npv`` and ``accuracy``, in [0, 1]; higher is better.

    Args:
        positive: (N,) which rows have the positive label.
        called: (N,) which are called positive.
        level: Of the intervals.
        patients: (N,) the patient of each row, counted from 0.
    """
    everybody = np.ones_like(positive)
    shares = {
        "sensitivity": (called, positive),
        "specificity": (~called, ~positive),
        "ppv": (positive, called),
        "npv": (~positive, ~called),
        "accuracy": (called == positive, everybody),
    }
    return {name: proportion(hits, of, level=level, patients=patients) for name, (hits, of) in shares.items()}


def wilson_interval(value: float, n: float, *, level: float) -> tuple[float, float]:
    """Score interval of a share ``value`` of ``n`` (Wilson, J Am Stat Assoc 1927;22:209-212), within [0, 1]."""
    z = float(norm.ppf((1 + level) / 2))
    center = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    return (0.0 if value == 0 else center - half), (1.0 if value == 1 else center + half)
