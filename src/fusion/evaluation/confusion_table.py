"""Figures that need the whole confusion table; rows of a table are true labels, columns what was called."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import bca_interval, bootstrap_totals, jackknife_contributions, percentile_interval
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import totals

Floats = NDArray[np.float64]
Tables = Floats
Figure = Callable[[Tables], Floats]


def balanced_accuracy(tables: Tables) -> Floats:
    """(B, K, K) → (B,) mean of the labels' recalls; in [0, 1], higher is better, NaN where a label is missing."""
    recalls = _divide(np.diagonal(tables, axis1=1, axis2=2), tables.sum(2))
    mean: Floats = recalls.mean(1)
    return mean


def f1_of_last(tables: Tables) -> Floats:
    """(B, K, K) → (B,) F1 of the positive label, 2 TP / (2 TP + FP + FN); in [0, 1], higher is better."""
    last: Floats = _f1(tables)[:, -1]
    return last


def macro_f1(tables: Tables) -> Floats:
    """(B, K, K) → (B,) mean of the labels' F1; in [0, 1], higher is better, NaN where a label is missing."""
    mean: Floats = _f1(tables).mean(1)
    return mean


def matthews(tables: Tables) -> Floats:
    """(B, K, K) → (B,) Gorodkin's R_K (Comput Biol Chem 2004;28:367-374), with two labels Matthews' correlation.

    In [-1, 1], higher is better. It is 0 where all rows are called the same, and NaN where all have the same label.
    """
    true, called, n = tables.sum(2), tables.sum(1), tables.sum((1, 2))
    right = np.trace(tables, axis1=1, axis2=2)
    spread_true, spread_called = n**2 - np.sum(true**2, axis=1), n**2 - np.sum(called**2, axis=1)
    covariance = right * n - np.sum(true * called, axis=1)
    correlation = np.where(spread_called > 0, _divide(covariance, np.sqrt(spread_true * spread_called)), 0.0)
    defined: Floats = np.where(spread_true > 0, correlation, math.nan)
    return defined


def table_estimates(
    labels: NDArray[np.int64],
    called: NDArray[np.int64],
    figures: Mapping[str, Figure],
    *,
    n_labels: int,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: NDArray[np.int64],
) -> dict[str, Estimate]:
    """Figures of a confusion table with the BCa interval of a bootstrap of patients within labels.

    Where all replicates are the same, e.g. where no error was made, BCa has no interval. It is then Jeffreys': the
    calls of each label are drawn from their posterior under Jeffreys' prior, and the limits stretched to the value
    (Brown et al., Stat Sci 2001;16:101-133, section 3.1.3, for one share).

    Args:
        labels, called: (N,) 0 to K - 1.
        figures: Name → figure.
        n_labels: K.
        level: Of the intervals.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row, counted from 0; a patient has one label.
    """
    if not len(labels):
        return dict.fromkeys(figures, undefined(0))
    cells = np.eye(n_labels**2)[labels * n_labels + called]
    by_patient = totals(cells, patients)
    strata = np.zeros(len(by_patient), dtype=np.int64)
    strata[patients] = labels
    shape = (-1, n_labels, n_labels)
    table = by_patient.sum(0)
    replicates = bootstrap_totals(by_patient, strata, n_bootstrap=n_bootstrap, seed=seed).reshape(shape)
    without_each = (table - by_patient).reshape(shape)
    result = {}
    for name, figure in figures.items():
        value = float(figure(table.reshape(shape))[0])
        contributions = jackknife_contributions(figure(without_each), strata)
        low, high = bca_interval(value, figure(replicates), contributions, level=level)
        if math.isnan(low) and not math.isnan(value):
            n_patients = np.bincount(strata, minlength=n_labels)
            drawn = _posterior(table.reshape(shape)[0], n_patients, n_draws=n_bootstrap, seed=seed)
            low, high = percentile_interval(figure(drawn), level=level)
        result[name] = Estimate(value=value, ci_low=min(low, value), ci_high=max(high, value), n=len(by_patient))
    return result


def _posterior(table: Tables, n_patients: NDArray[np.int64], *, n_draws: int, seed: int) -> Tables:
    """(B, K, K) tables whose rows are drawn from the posterior of a table with as many rows as patients."""
    rng = np.random.default_rng(seed)
    n_rows = table.sum(1)
    weights = np.divide(n_patients, n_rows, out=np.zeros_like(n_rows), where=n_rows > 0)
    shares = [rng.dirichlet(calls + 0.5, size=n_draws) for calls in table * weights[:, None]]
    drawn: Tables = np.stack(shares, axis=1) * n_rows[:, None]
    return drawn


def _f1(tables: Tables) -> Floats:
    """(B, K, K) → (B, K); NaN for a label without rows."""
    right, true = np.diagonal(tables, axis1=1, axis2=2), tables.sum(2)
    f1: Floats = np.where(true > 0, _divide(2 * right, true + tables.sum(1)), math.nan)
    return f1


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    quotient = np.full(np.shape(numerator), math.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
