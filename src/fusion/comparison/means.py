"""Differences of two models in what is a mean over rows: the Brier score, and shares of right calls."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import bca_of_totals
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index, totals
from fusion.evaluation.scores import Patients

Floats = NDArray[np.float64]


def mean_difference(
    first: Floats,
    second: Floats,
    *,
    rows: NDArray[np.bool_],
    strata: NDArray[np.int64] | None,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Mean of ``first`` less mean of ``second`` over some rows, with the BCa bootstrap of patients, drawn for both.

    Args:
        first, second: (N,) what each model adds to its mean.
        rows: (N,) that count.
        strata: (N,) patients are drawn within these, e.g. labels; None for all together, so that their numbers vary.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The difference; NaN without rows, and without an interval where no replicate differs from another.
    """
    index = patient_index(patients, len(first))
    columns = np.stack([(first - second) * rows, rows.astype(np.float64)], axis=1)
    by_patient = totals(columns, index)
    of_patient = np.zeros(len(by_patient), dtype=np.int64)
    if strata is not None:
        of_patient[index] = strata
    n = int(np.sum(by_patient[:, 1] > 0))
    if not n:
        return undefined(0)
    low, high = bca_of_totals(by_patient, of_patient, _mean, level=level, n_bootstrap=n_bootstrap, seed=seed)
    return Estimate(value=float(_mean(by_patient.sum(0)[None])[0]), ci_low=low, ci_high=high, n=n)


def squared_errors(labels: NDArray[np.int64], probabilities: Floats) -> Floats:
    """(N,) what each row adds to the Brier score: with two labels of the positive one, else the sum over labels."""
    squared = (probabilities - np.eye(probabilities.shape[1])[labels]) ** 2
    errors: Floats = squared[:, 1] if probabilities.shape[1] == 2 else squared.sum(1)
    return errors


def _mean(sums: Floats) -> Floats:
    return np.asarray(np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), math.nan), where=sums[:, 1] > 0))
