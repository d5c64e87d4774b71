"""Literal values are R 4.2's; the commands stand beside them."""

import math

import numpy as np
import pytest

from fusion.evaluation.calibration import brier, brier_scaled, calibration, reliability_curve

P = np.array([0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.6, 0.7, 0.85, 0.95])
Y = np.array([0, 0, 1, 0, 0, 1, 1, 0, 1, 1])
BOOTSTRAP = {"level": 0.95, "n_bootstrap": 500, "seed": 0}


def both(p):
    return np.stack([1 - p, p], axis=1)


def tied():
    i = np.arange(1, 61)
    p = np.round(1 / (1 + np.exp(-1.5 * np.sin(i))), 2)
    return p, (i * 0.618034 % 1 < 1 / (1 + np.exp(-0.4) * ((1 - p) / p) ** 0.6)).astype(np.int64)


def test_intercept_and_slope_equal_glm():
    figures = calibration(Y, P, level=0.95)
    # glm(y ~ offset(qlogis(p)), family = binomial); coef + c(-1, 1) * qnorm(.975) * sqrt(vcov)
    intercept = figures["calibration_intercept"]
    assert (intercept.value, intercept.ci_low, intercept.ci_high) == pytest.approx(
        (0.183673576523, -1.34918403681, 1.71653118985), abs=1e-6
    )
    # glm(y ~ qlogis(p), family = binomial), second coefficient
    slope = figures["calibration_slope"]
    assert (slope.value, slope.ci_low, slope.ci_high) == pytest.approx(
        (0.853992467519, -0.294939882102, 2.00292481714), abs=1e-6
    )
    assert slope.n == 10


def test_figures_of_val_prob_with_ties():
    # i <- 1:60; p <- round(plogis(1.5 * sin(i)), 2)
    # y <- as.integer((i * .618034) %% 1 < plogis(.4 + .6 * qlogis(p))); rms::val.prob(p, y)[c("Brier", "Slope")]
    p, y = tied()
    assert y.sum() == 36
    assert brier(y, both(p), **BOOTSTRAP).value == pytest.approx(0.225678333333, abs=1e-9)
    figures = calibration(y, p, level=0.95)
    assert figures["calibration_slope"].value == pytest.approx(0.681337265579, abs=1e-6)
    # val.prob's Intercept is that beside the slope; this is coef(glm(y ~ offset(qlogis(p)), family = binomial))
    assert figures["calibration_intercept"].value == pytest.approx(0.473286370316, abs=1e-6)
    # 1 - mean((p - y)^2) / (mean(y) * (1 - mean(y)))
    assert brier_scaled(y, both(p), **BOOTSTRAP).value == pytest.approx(0.0596736111111, abs=1e-9)


def test_images_of_a_patient_give_the_clustered_interval():
    # sandwich::vcovCL(fit, cluster = id, type = "HC0", cadjust = FALSE)
    slope = calibration(Y, P, level=0.95, patients=[1, 2, 3, 1, 2, 3, 4, 5, 6, 6])["calibration_slope"]
    assert (slope.ci_low, slope.ci_high) == pytest.approx((-0.0498029393114, 1.75778787435), abs=1e-6)
    assert slope.n == 6


def test_overconfident_probabilities_have_half_the_slope():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-logits))).astype(int)
    figures = calibration(labels, 1 / (1 + np.exp(-2 * logits)), level=0.95)
    assert figures["calibration_slope"].value == pytest.approx(0.5, abs=0.05)


def test_probabilities_of_exactly_zero_and_one_give_finite_figures():
    figures = calibration(np.array([0, 0, 1, 1, 0, 1]), np.array([0, 1, 1, 0, 0.4, 0.6]), level=0.95)
    assert all(math.isfinite(estimate.value) for estimate in figures.values())


@pytest.mark.parametrize("p", [np.linspace(0.1, 0.9, 6), np.array([0.1, 0.2, 0.5, 0.5, 0.7, 0.9]), np.full(6, 0.5)])
def test_separated_labels_define_no_slope(p):
    figures = calibration(np.repeat([0, 1], 3), p, level=0.95)
    assert math.isnan(figures["calibration_slope"].value)
    assert math.isfinite(figures["calibration_intercept"].value)


def test_one_label_defines_neither():
    assert all(math.isnan(e.value) for e in calibration(np.ones(3, dtype=int), np.full(3, 0.5), level=0.95).values())


def test_brier_by_hand():
    # (0.1^2 + 0.4^2 + 0.5^2 + 0^2) / 4
    estimate = brier(np.array([0, 1, 1, 1]), both(np.array([0.1, 0.6, 0.5, 1.0])), **BOOTSTRAP)
    assert estimate.value == pytest.approx(0.105)
    assert estimate.ci_low < 0.105 < estimate.ci_high


def test_brier_of_three_labels_sums_over_labels():
    # (0.5^2 + 0.3^2 + 0.2^2 + 0 + 0 + 0) / 2
    probabilities = np.array([[0.5, 0.3, 0.2], [0, 0, 1]])
    assert brier(np.array([0, 2]), probabilities, **BOOTSTRAP).value == pytest.approx(0.19)


def test_brier_interval_is_about_that_of_a_mean():
    rng = np.random.default_rng(5)
    p = rng.random(400)
    labels = (rng.random(400) < p).astype(int)
    estimate = brier(labels, both(p), level=0.95, n_bootstrap=2000, seed=0)
    error = np.std((p - labels) ** 2, ddof=1) / math.sqrt(400)
    assert estimate.ci_high - estimate.ci_low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_brier_interval_is_not_narrowed_by_repeating_rows():
    once = brier(Y, both(P), **BOOTSTRAP)
    twice = brier(np.tile(Y, 2), both(np.tile(P, 2)), patients=list(range(10)) * 2, **BOOTSTRAP)
    assert (twice.value, twice.ci_low, twice.ci_high, twice.n) == pytest.approx(
        (once.value, once.ci_low, once.ci_high, 10)
    )


def test_reliability_curve_has_bins_of_the_same_size():
    table = reliability_curve(Y, P, n_bins=5, level=0.95)
    assert [row.n for row in table] == [2, 2, 2, 2, 2]
    assert [row.observed for row in table] == [0, 0.5, 0.5, 0.5, 1]
    assert table[1].predicted == pytest.approx(0.25)
    # prop.test(0, 2, correct = FALSE)$conf.int
    assert (table[0].ci_low, table[0].ci_high) == pytest.approx((0, 0.6576198), abs=1e-6)


def test_reliability_curve_keeps_equal_probabilities_together():
    table = reliability_curve(Y, np.repeat([0.0, 1.0], 5), n_bins=5, level=0.95)
    assert [(row.predicted, row.n) for row in table] == [(0, 5), (1, 5)]


def test_reliability_interval_is_not_narrowed_by_repeating_rows():
    once = reliability_curve(Y, P, n_bins=2, level=0.95)
    twice = reliability_curve(np.tile(Y, 2), np.tile(P, 2), n_bins=2, level=0.95, patients=list(range(10)) * 2)
    assert [row.n for row in twice] == [10, 10]
    assert [row[:4] for row in twice] == [pytest.approx(row[:4]) for row in once]


def test_scaled_brier_of_the_prevalence_is_zero_and_of_the_labels_one():
    labels = np.repeat([0, 1, 2], [5, 3, 2])
    assert brier_scaled(labels, np.tile([0.5, 0.3, 0.2], (10, 1)), **BOOTSTRAP).value == pytest.approx(0)
    assert brier_scaled(labels, np.eye(3)[labels], **BOOTSTRAP).value == 1
    assert brier_scaled(Y, both(np.full(10, 0.5)), **BOOTSTRAP).value == pytest.approx(0)


def test_scaled_brier_is_negative_where_the_prevalence_is_better():
    estimate = brier_scaled(Y, both(1 - P), **BOOTSTRAP)
    assert estimate.ci_low < estimate.value < 0 < 1
    assert estimate.ci_high <= 1


def test_scaled_brier_interval_is_not_narrowed_by_repeating_rows():
    once = brier_scaled(Y, both(P), **BOOTSTRAP)
    twice = brier_scaled(np.tile(Y, 2), both(np.tile(P, 2)), patients=list(range(10)) * 2, **BOOTSTRAP)
    assert (twice.value, twice.ci_low, twice.ci_high, twice.n) == pytest.approx(
        (once.value, once.ci_low, once.ci_high, 10)
    )


def test_scaled_brier_of_one_label_is_undefined():
    estimate = brier_scaled(np.ones(5, dtype=int), both(np.linspace(0.1, 0.9, 5)), **BOOTSTRAP)
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.ci_low)


@pytest.mark.parametrize("p", [P, np.repeat([0.0, 1.0], 5), np.tile([0.0, 1.0], 5), np.full(10, 0.5)])
def test_no_interval_leaves_the_range(p):
    error, scaled = brier(Y, both(p), **BOOTSTRAP), brier_scaled(Y, both(p), **BOOTSTRAP)
    assert not error.ci_low < 0
    assert not error.ci_high > 1
    assert not scaled.ci_high > 1


def test_probabilities_that_differ_by_rounding_alone_have_no_slope() -> None:
    labels = np.array([0, 1, 0, 1, 1, 0, 0, 1])
    rounding = np.array([0, 1, 2, 3, 0, 1, 2, 3]) * 5e-17
    found = calibration(labels, 0.4411700468679089 + rounding, level=0.95)
    assert np.isnan(found["calibration_slope"].value)
    assert np.isfinite(found["calibration_intercept"].value)
