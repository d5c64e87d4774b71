import math

import numpy as np
import pytest

from fusion.comparison.resampled_t import resampled_t

SETTINGS = {"n_train": 80.0, "n_test": 20.0, "n_patients": 100, "level": 0.95}


def test_by_hand() -> None:
    # R: d <- c(.02, -.01, .04, .03, 0, .05, .01, .02, -.02, .06); se <- sqrt((1/10 + 1/4) * var(d))
    # t <- mean(d) / se; c(mean(d), t, 2 * pt(-t, 9), mean(d) + c(-1, 1) * qt(.975, 9) * se)
    test = resampled_t(np.array([0.02, -0.01, 0.04, 0.03, 0.0, 0.05, 0.01, 0.02, -0.02, 0.06]), **SETTINGS)
    estimate = test.difference
    assert (test.t, test.df, test.p) == pytest.approx((1.30930734142, 9, 0.222868350134), rel=1e-9)
    assert (estimate.value, estimate.ci_low, estimate.ci_high) == pytest.approx(
        (0.02, -0.0145550214414, 0.0545550214414), rel=1e-9
    )
    assert estimate.n == 100


def test_one_fold_is_no_sample() -> None:
    test = resampled_t(np.array([0.1]), **SETTINGS)
    assert test.difference.value == 0.1
    assert math.isnan(test.p)
    assert math.isnan(test.difference.ci_low)
    assert math.isnan(resampled_t(np.zeros(0), **SETTINGS).difference.value)


def test_folds_without_variance() -> None:
    assert resampled_t(np.zeros(5), **SETTINGS).p == 1.0
    always = resampled_t(np.full(5, 0.1), **SETTINGS)
    assert math.isnan(always.p)
    assert math.isnan(always.difference.ci_low)


def test_it_holds_its_level_where_the_plain_t_test_does_not() -> None:
    # Folds that share patients: figures with the correlation that the correction assumes, n_test / (n_train + n_test).
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(800, 1)), rng.normal(size=(800, 10))
    folds = math.sqrt(0.2) * shared + math.sqrt(0.8) * own
    corrected = np.mean([resampled_t(0.01 * row, **SETTINGS).p < 0.05 for row in folds])
    plain = np.mean([resampled_t(0.01 * row, **(SETTINGS | {"n_test": 0.0})).p < 0.05 for row in folds])
    assert 0.03 < corrected < 0.07
    assert plain > 0.2
