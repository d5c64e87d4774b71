"""Figures of calibration that divide the rows into groups of similar probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from fusion.evaluation.bootstrap import bootstrap_totals
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index, totals
from fusion.evaluation.widened import widened_interval

Patients = Sequence[object] | NDArray[np.int64] | None
_N_GROUPS = 10
# Five patients in each group; below, groups of one or two make a figure of chance alone, with a tight interval around.
MIN_PATIENTS = 5 * _N_GROUPS
# Rounding of a mean of probabilities that are all 0 or all 1.
_CERTAIN = 1e-12


def risk_groups(probabilities: NDArray[np.float64], *, n_groups: int) -> NDArray[np.int64]:
    """(N,) group of each row, counted from 0: at most ``n_groups`` of about the same number of rows.

    Groups lie between the quantiles (R's type 7) of the probabilities, a row on a quantile in the upper group. Equal
    probabilities are never divided, so there may be fewer groups.
    """
    edges = np.quantile(probabilities, np.linspace(0, 1, n_groups + 1)[1:-1])
    _, group = np.unique(np.searchsorted(edges, probabilities, side="right"), return_inverse=True)
    return group


def ece(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Expected calibration error, Σ rows in group / N |observed share - mean probability|; in [0, 1], lower is better.

    With two labels it is that of the positive one's probability, with more that of the top label's (Guo et al., ICML
    2017, eq. 3). The groups are ten of equal frequency, not of equal width, which leaves groups empty and is biased
    more (Nixon et al., CVPR Workshops 2019; Roelofs et al., AISTATS 2022). It is biased upwards all the same: a
    calibrated model has about 0.1 with 100 patients. Figures of cohorts of different size cannot be compared. With
    fewer than 50 patients, 5 in each group, it is undefined: with 9, each a group of its own, a calibrated model has
    0.4 to 0.5.

    The interval is a percentile bootstrap of patients, not stratified, with the groups held as they are, widened to
    hold the value. A lower limit above 0 is no evidence against calibration.

    Args:
        labels: (N,) 0 to K - 1; at least one row.
        probabilities: (N, K)
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN with fewer than 50 patients.
    """
    index = patient_index(patients, len(labels))
    if (n_patients := len(np.unique(index))) < MIN_PATIENTS:
        return undefined(n_patients)
    is_binary = probabilities.shape[1] == 2
    predicted = probabilities[:, 1] if is_binary else probabilities.max(1)
    observed = labels == (1 if is_binary else probabilities.argmax(1))
    of_group = np.eye(_N_GROUPS)[risk_groups(predicted, n_groups=_N_GROUPS)]
    excess = (observed - predicted)[:, None] * of_group
    by_patient = totals(np.column_stack([excess, np.ones(len(labels))]), index)
    one_stratum = np.zeros(len(by_patient), dtype=np.int64)
    replicates = _mean_excess(bootstrap_totals(by_patient, one_stratum, n_bootstrap=n_bootstrap, seed=seed))
    value = float(_mean_excess(by_patient.sum(0, keepdims=True))[0])
    low, high = widened_interval(value, replicates, level=level)
    return Estimate(value=value, ci_low=low, ci_high=high, n=len(by_patient))


def hosmer_lemeshow(
    labels01: NDArray[np.int64], probabilities: NDArray[np.float64], *, patients: Patients = None
) -> Estimate:
    """P value of the Hosmer-Lemeshow test in ten groups of risk; a small one speaks against calibration.

    χ² = Σ (observed - expected)² / (n p (1 - p)) over the groups, p their mean probability (Hosmer, Lemeshow &
    Sturdivant, Applied Logistic Regression 2013, section 5.2.2). The degrees of freedom are the number of groups, g,
    since the patients are not those that the model was fitted on; the usual g - 2 belongs to its own training rows. For
    papers that ask for it: it depends on the grouping, misses much in small cohorts and finds trifles in large ones.

    The test wants independent rows, so the probabilities of a patient's rows are averaged first. Equal probabilities
    stay in one group; few distinct ones make fewer groups. A group of probabilities that are all exactly 0, or all 1,
    has no variance: where it is right it counts for nothing, where it is wrong the p value is 0.

    Args:
        labels01: (N,) 1 for the positive label, else 0; the same in all rows of a patient. At least one row.
        probabilities: (N,) of the positive label.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The p value in [0, 1] without an interval; NaN with fewer than 50 patients, 5 in each group, where χ² is no
        approximation, and where no group has a variance and none is wrong.
    """
    index = patient_index(patients, len(labels01))
    n_rows, positives, sums = totals(np.column_stack([np.ones(len(index)), labels01, probabilities]), index).T
    labels, predicted = positives / n_rows, sums / n_rows
    if len(labels) < MIN_PATIENTS:
        return undefined(len(labels))
    group = risk_groups(predicted, n_groups=_N_GROUPS)
    n, observed, expected = (np.bincount(group, weights=column) for column in (n_rows / n_rows, labels, predicted))
    is_certain = np.minimum(expected, n - expected) / n < _CERTAIN
    if np.any(np.abs(observed - expected)[is_certain] > 0.5):
        p_value = 0.0
    elif is_certain.all():
        return undefined(len(labels))
    else:
        n, observed, expected = n[~is_certain], observed[~is_certain], expected[~is_certain]
        statistic = np.sum((observed - expected) ** 2 / (expected * (1 - expected / n)))
        p_value = float(chi2.sf(statistic, len(n)))
    return Estimate(value=p_value, ci_low=float("nan"), ci_high=float("nan"), n=len(labels))


def _mean_excess(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, G + 1) sums by group of observed - predicted, then rows → (B,)."""
    return np.asarray(np.abs(sums[:, :-1]).sum(1) / sums[:, -1])
