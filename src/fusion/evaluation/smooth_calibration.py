"""The calibration curve without bins, and how far it lies from the diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import bootstrap_totals
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.loess import Loess, loess
from fusion.evaluation.patients import patient_index, totals
from fusion.evaluation.risk_groups import MIN_PATIENTS
from fusion.evaluation.widened import widened_interval

Patients = Sequence[object] | NDArray[np.int64] | None
_N_GRID = 101
_MOST_GROUPS = 200


class SmoothCurve(NamedTuple):
    """Observed against predicted.

    Attributes:
        predicted: (M,) probabilities of the positive label, rising.
        observed: (M,) smoothed share of rows with the positive label there, in [0, 1].
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]


def smooth_calibration(labels01: NDArray[np.int64], probabilities: NDArray[np.float64]) -> SmoothCurve:
    """Calibration curve by loess, at 101 probabilities from the lowest to the highest of the rows.

    The smoother is that of R's ``loess(y ~ p)`` (see ``fusion.evaluation.loess``), as Austin & Steyerberg (Stat Med
    2014;33:517-535) advise, cut off at 0 and 1, which a parabola does not know. ``rms::val.prob`` draws another one,
    ``lowess(p, y, iter = 0)``: locally linear, span 2/3.

    Args:
        labels01: (N,) 1 for the positive label, else 0; at least one row.
        probabilities: (N,) of the positive label.
    """
    grid = np.linspace(probabilities.min(), probabilities.max(), _N_GRID)
    smoother = loess(probabilities)
    moments = smoother.moments(probabilities, labels01.astype(np.float64)).sum(0)
    return SmoothCurve(grid, _observed(smoother, moments[None], grid)[0])


def ici(
    labels01: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Integrated calibration index: mean distance of the smooth calibration curve from the diagonal, over the rows.

    Austin & Steyerberg (Stat Med 2019;38:4051-4065), E_avg in Harrell's words; in [0, 1], lower is better. It is
    never negative, so chance alone puts it above 0, the more the fewer the patients: a calibrated model has about
    0.07 with 100 patients and 0.04 with 250. With fewer than 50 patients it is undefined: a parabola through the few
    within its span (7 of 9) follows the single outcomes, and a calibrated model has about 0.27.

    The interval is a percentile bootstrap of patients, not stratified, widened to hold the value. Each replicate gets
    its own curve, with the weights (bandwidth) of the smoother held as they are on all patients, and is averaged over
    at most 200 groups of equal or neighboring probabilities. It covers values above 0 (88 to 97 % of simulations with
    100 and 250 patients), not 0 itself: a lower limit above 0 is no evidence against calibration.

    Args:
        labels01: (N,) 1 for the positive label, else 0; at least one row.
        probabilities: (N,) of the positive label.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN with fewer than 50 patients.
    """
    index = patient_index(patients, len(labels01))
    if (n_patients := len(np.unique(index))) < MIN_PATIENTS:
        return undefined(n_patients)
    smoother = loess(probabilities)
    moments = smoother.moments(probabilities, labels01.astype(np.float64))
    n_moments = moments.shape[1]
    curve = _observed(smoother, moments.sum(0)[None], probabilities)[0]
    value = float(np.abs(curve - probabilities).mean())
    group, centers = _groups(probabilities)
    by_patient = np.concatenate([totals(moments, index), _counts(group, index, len(centers))], axis=1)

    def mean_distance(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        distance = np.abs(_observed(smoother, sums[:, :n_moments], centers) - centers)
        n_rows = sums[:, n_moments:]
        return np.asarray((distance * n_rows).sum(1) / n_rows.sum(1))

    one_stratum = np.zeros(len(by_patient), dtype=np.int64)
    replicates = mean_distance(bootstrap_totals(by_patient, one_stratum, n_bootstrap=n_bootstrap, seed=seed))
    low, high = widened_interval(value, replicates, level=level)
    return Estimate(value=value, ci_low=low, ci_high=high, n=len(by_patient))


def _observed(smoother: Loess, moments: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(smoother.curve(moments, at), 0, 1)


def _groups(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N,) group of each row and (G,) mean probability of the groups: distinct values, or 200 quantiles of many."""
    _, group = np.unique(probabilities, return_inverse=True)
    if group.max() >= _MOST_GROUPS:
        edges = np.quantile(probabilities, np.linspace(0, 1, _MOST_GROUPS + 1)[1:-1])
        _, group = np.unique(np.searchsorted(edges, probabilities, side="right"), return_inverse=True)
    return group, np.bincount(group, weights=probabilities) / np.bincount(group)


def _counts(group: NDArray[np.int64], index: NDArray[np.int64], n_groups: int) -> NDArray[np.float64]:
    """(P, G) rows of each patient in each group."""
    n_patients = int(index.max()) + 1
    flat = np.bincount(index * n_groups + group, minlength=n_patients * n_groups)
    return flat.reshape(n_patients, n_groups).astype(np.float64)
