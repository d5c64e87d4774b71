"""Figures that need the whole confusion table; rows of a table are true labels, columns what was called."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import percentile_interval
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
    """Figures of a confusion table, each with the interval of its posterior, the numbers by label held as they are.

    The calls of each label are drawn from their Dirichlet posterior, and the limits are the figure's quantiles over
    the draws, stretched to the value. The prior weighs 1 / K for the right call and as much for all wrong ones
    together: with two labels it is Jeffreys', whose interval of a share holds up near 0 and 1, where those that rest
    on the sample's own spread do not (Brown, Cai & DasGupta, Stat Sci 2001;16:101-133, section 3.1.3; Agresti & Coull,
    Am Stat 1998;52:119-126). A bootstrap is of that second kind: it never draws a call that nobody got, so with 22 of
    22 called right it takes that label for known. In simulations of 10 to 300 patients, ordinary and one-sided, this
    interval held the truth in 88 to 98 %, a BCa bootstrap in 70 to 99 %, and it was no wider where both held it. With
    more labels Jeffreys' own prior, 1/2 for each cell, would pull every recall down (59 % near the upper limit).

    A label has as many rows in the posterior as its effective number, which is that of patients where all rows of a
    patient are called the same (see ``fusion.evaluation.proportion.share``).

    Args:
        labels, called: (N,) 0 to K - 1.
        figures: Name → figure.
        n_labels: K.
        level: Of the intervals.
        n_bootstrap: Number of draws.
        seed: Of the draws.
        patients: (N,) the patient of each row, counted from 0; a patient has one label.
    """
    if not len(labels):
        return dict.fromkeys(figures, undefined(0))
    cells = np.eye(n_labels**2)[labels * n_labels + called]
    by_patient = totals(cells, patients).reshape(-1, n_labels, n_labels)
    table = by_patient.sum(0)
    drawn = _posterior(table, _effective_rows(by_patient), n_draws=n_bootstrap, seed=seed)
    result = {}
    for name, figure in figures.items():
        value = float(figure(table[None])[0])
        low, high = percentile_interval(figure(drawn), level=level)
        result[name] = Estimate(value=value, ci_low=min(low, value), ci_high=max(high, value), n=len(by_patient))
    return result


def _effective_rows(by_patient: Tables) -> Floats:
    """(P, K, K) tables of patients → (K,) independent rows that would say as much of each label's calls."""
    n_rows = by_patient.sum((0, 2))
    shares = _divide(by_patient.sum(0), n_rows[:, None])
    deviations = by_patient - shares * by_patient.sum(2, keepdims=True)
    variance = np.nansum(deviations**2, axis=(0, 2))
    n_patients = (by_patient.sum(2) > 0).sum(0)
    # Cells of a label sum to a multinomial's variance, n (1 - Σ share²), where its rows are independent.
    effective = _divide((1 - np.sum(shares**2, axis=1)) * n_rows**2, variance)
    rows: Floats = np.where(np.isnan(effective), n_patients, np.minimum(effective, n_rows))
    return rows


def _posterior(table: Tables, n_effective: Floats, *, n_draws: int, seed: int) -> Tables:
    """(B, K, K) tables with the rows by label of ``table`` (K, K), their calls drawn from the posterior."""
    n_labels = len(table)
    rng = np.random.default_rng(seed)
    n_rows = table.sum(1)
    weights = np.divide(n_effective, n_rows, out=np.zeros_like(n_rows), where=n_rows > 0)
    prior = np.where(np.eye(n_labels) > 0, 1.0, 1 / (n_labels - 1)) / n_labels
    shares = [rng.dirichlet(calls, size=n_draws) for calls in table * weights[:, None] + prior]
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
