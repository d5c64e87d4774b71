"""A t-test over folds that knows that they share their training patients."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from fusion.evaluation.estimate import Estimate


class ResampledT(NamedTuple):
    """The corrected resampled t-test.

    Attributes:
        difference: Mean over the folds.
        t: The statistic, with ``df`` degrees of freedom.
        df: Folds - 1.
        p: Two-sided.
    """

    difference: Estimate
    t: float
    df: int
    p: float


def resampled_t(
    differences: NDArray[np.float64], *, n_train: float, n_test: float, n_patients: int, level: float
) -> ResampledT:
    """Test that the mean over folds is 0 (Nadeau & Bengio, Mach Learn 2003;52:239-281, section 3.3).

    t = mean / √((1/J + n_test/n_train) s²), J folds, s² their sample variance, J - 1 degrees of freedom. The plain
    t-test, with 1/J alone, takes the folds for independent, which they are not, and rejects too often. The correction
    was made for repeated random divisions and carried over to repeated k-fold by Bouckaert & Frank (PAKDD 2004:3-12);
    for one k-fold it is an approximation.

    Args:
        differences: (J,) one model's figure less the other's, in each fold.
        n_train: Mean number of patients that a fold's models learned from.
        n_test: Mean number of patients that they were tested on.
        n_patients: All that were tested.
        level: Of the interval.

    Returns:
        The test; NaN with fewer than two folds, and t and p also where all folds have the same difference but 0;
        with a difference of 0 in all of them p is 1.
    """
    n_folds = len(differences)
    mean = float(np.mean(differences)) if n_folds else math.nan
    if n_folds < 2:
        return ResampledT(Estimate(value=mean, ci_low=math.nan, ci_high=math.nan, n=n_patients), math.nan, 0, math.nan)
    error = math.sqrt((1 / n_folds + n_test / n_train) * float(np.var(differences, ddof=1)))
    # Equal differences need not have a variance of exactly 0.
    if np.ptp(differences) <= 1e-12:
        p = 1.0 if abs(mean) <= 1e-12 else math.nan
        nothing = Estimate(value=mean, ci_low=math.nan, ci_high=math.nan, n=n_patients)
        return ResampledT(nothing, math.nan, n_folds - 1, p)
    t = mean / error
    half = float(student.ppf((1 + level) / 2, n_folds - 1)) * error
    estimate = Estimate(value=mean, ci_low=max(mean - half, -1.0), ci_high=min(mean + half, 1.0), n=n_patients)
    return ResampledT(estimate, t, n_folds - 1, float(2 * student.sf(abs(t), n_folds - 1)))
