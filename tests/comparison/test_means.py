import math

import numpy as np
import pytest

from fusion.comparison.means import mean_difference, squared_errors
from fusion.evaluation.calibration import brier

SETTINGS = {"level": 0.95, "n_bootstrap": 500, "seed": 0}


def test_squared_errors_are_what_the_brier_score_is_the_mean_of() -> None:
    rng = np.random.default_rng(0)
    for n_labels in (2, 3):
        labels, probabilities = rng.integers(n_labels, size=30), rng.dirichlet(np.ones(n_labels), 30)
        assert squared_errors(labels, probabilities).mean() == pytest.approx(
            brier(labels, probabilities, **SETTINGS).value
        )


def test_difference_of_means_with_the_interval_of_a_paired_mean() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(size=300)
    second = first - 0.1 + 0.5 * rng.normal(size=300)
    every = np.ones(300, dtype=bool)
    estimate = mean_difference(first, second, rows=every, strata=None, **SETTINGS)
    d = first - second
    half = 1.96 * d.std(ddof=1) / math.sqrt(300)
    assert estimate.value == pytest.approx(d.mean())
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((d.mean() - half, d.mean() + half), abs=0.01)


def test_only_the_rows_count() -> None:
    first, second = np.array([1.0, 1.0, 0.0, 9.0]), np.array([0.0, 1.0, 1.0, 0.0])
    rows = np.array([True, True, True, False])
    estimate = mean_difference(first, second, rows=rows, strata=None, **SETTINGS)
    assert (estimate.value, estimate.n) == (0.0, 3)
    assert math.isnan(mean_difference(first, second, rows=~np.ones(4, dtype=bool), strata=None, **SETTINGS).value)


def test_within_labels_their_numbers_do_not_vary() -> None:
    labels, rows = np.repeat([0, 1], 10), np.ones(20, dtype=bool)
    free = mean_difference(labels.astype(float), np.zeros(20), rows=rows, strata=None, **SETTINGS)
    fixed = mean_difference(labels.astype(float), np.zeros(20), rows=rows, strata=labels, **SETTINGS)
    assert free.ci_low < 0.4
    assert math.isnan(fixed.ci_low)


def test_no_spread_is_no_interval() -> None:
    estimate = mean_difference(np.ones(5), np.zeros(5), rows=np.ones(5, dtype=bool), strata=None, **SETTINGS)
    assert estimate.value == 1.0
    assert math.isnan(estimate.ci_low)
