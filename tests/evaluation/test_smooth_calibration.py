"""Literal values are R 4.2's; the commands stand beside them."""

import math

import numpy as np
import pytest

from fusion.evaluation.smooth_calibration import ici, smooth_calibration

P = np.array([0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.6, 0.7, 0.85, 0.95])
Y = np.array([0, 0, 1, 0, 0, 1, 1, 0, 1, 1])
P_OF_50, Y_OF_50 = np.tile(P, 5), np.tile(Y, 5)
BOOTSTRAP = {"level": 0.95, "n_bootstrap": 500, "seed": 0}


def tied():
    i = np.arange(1, 61)
    p = np.round(1 / (1 + np.exp(-1.5 * np.sin(i))), 2)
    return p, (i * 0.618034 % 1 < 1 / (1 + np.exp(-0.4) * ((1 - p) / p) ** 0.6)).astype(np.int64)


def simulated(n, seed, slope):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.2, size=n)
    return (rng.random(n) < 1 / (1 + np.exp(-slope * logits))).astype(np.int64), 1 / (1 + np.exp(-logits))


def test_ici_equals_r():
    # p <- rep(p, 5); y <- rep(y, 5); mean(abs(p - pmin(pmax(fitted(loess(y ~ p)), 0), 1)))
    assert ici(Y_OF_50, P_OF_50, **BOOTSTRAP).value == pytest.approx(0.0441833774998, abs=1e-6)


def test_ici_with_ties_equals_r():
    # i <- 1:60; p <- round(plogis(1.5 * sin(i)), 2)
    # y <- as.integer((i * .618034) %% 1 < plogis(.4 + .6 * qlogis(p))); mean(abs(p - fitted(loess(y ~ p))))
    p, y = tied()
    value = ici(y, p, **BOOTSTRAP).value
    assert value == pytest.approx(0.11706388291, abs=1e-6)
    # rms::val.prob(p, y)["Eavg"], of another smoother (lowess, locally linear), is 0.1037
    assert value == pytest.approx(0.1037, abs=0.02)


def test_curve_equals_r_and_stays_within_0_and_1():
    # i <- 1:60; p and y as above; predict(loess(y ~ p), c(min(p), .5, max(p)))
    p, y = tied()
    curve = smooth_calibration(y, p)
    assert (curve.predicted[0], curve.predicted[50], curve.predicted[-1]) == pytest.approx((0.18, 0.5, 0.82))
    assert curve.observed[[0, 50, -1]] == pytest.approx([0.329154333191, 0.644947115815, 0.729290787319], abs=1e-6)
    # fitted(loess(y ~ p)) is below 0 at the first and above 1 at the last of these
    steep = smooth_calibration(Y, P)
    assert (steep.observed[0], steep.observed[-1]) == (0, 1)


@pytest.mark.parametrize("rows_of_a_patient", [1, 2])
def test_interval_is_that_of_curves_fitted_again(rows_of_a_patient):
    labels, p = simulated(240, 4, 0.7)
    # Few distinct values, most of them low, so that their numbers matter.
    p = np.round(p**3, 1) if rows_of_a_patient == 2 else p
    patients = np.arange(240) // rows_of_a_patient
    rng = np.random.default_rng(1)
    again = []
    for _ in range(300):
        drawn = rng.integers(patients[-1] + 1, size=patients[-1] + 1)
        rows = (drawn[:, None] * rows_of_a_patient + np.arange(rows_of_a_patient)).ravel()
        again.append(ici(labels[rows], p[rows], level=0.95, n_bootstrap=1, seed=0).value)
    estimate = ici(labels, p, patients=patients, level=0.95, n_bootstrap=2000, seed=0)
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx(tuple(np.quantile(again, [0.025, 0.975])), abs=0.012)


def test_interval_of_many_rows_is_not_changed_by_their_groups(monkeypatch):
    labels, p = simulated(600, 5, 0.7)
    grouped = ici(labels, p, **BOOTSTRAP)
    monkeypatch.setattr("fusion.evaluation.smooth_calibration._MOST_GROUPS", 1000)
    single = ici(labels, p, **BOOTSTRAP)
    assert grouped.value == single.value
    assert (grouped.ci_low, grouped.ci_high) == pytest.approx((single.ci_low, single.ci_high), abs=1e-3)


def test_calibrated_probabilities_of_many_patients_have_an_ici_near_zero():
    labels, p = simulated(8000, 0, 1)
    assert ici(labels, p, level=0.95, n_bootstrap=20, seed=0).value < 0.015
    labels, p = simulated(8000, 0, 0.5)
    truth = np.abs(p - 1 / (1 + ((1 - p) / p) ** 0.5)).mean()
    assert ici(labels, p, level=0.95, n_bootstrap=20, seed=0).value == pytest.approx(truth, abs=0.015)


def test_interval_is_not_narrowed_by_repeating_rows():
    p, y = tied()
    once = ici(y, p, **BOOTSTRAP)
    twice = ici(np.tile(y, 2), np.tile(p, 2), patients=list(range(60)) * 2, **BOOTSTRAP)
    assert (twice.value, twice.n) == (pytest.approx(once.value, abs=2e-3), 60)
    assert (twice.ci_low, twice.ci_high) == pytest.approx((once.ci_low, once.ci_high), abs=5e-3)


HARD = {
    "separated": (np.repeat([0, 1], 25), np.sort(P_OF_50)),
    "one label": (np.ones(50, dtype=int), P_OF_50),
    "exactly 0 and 1": (Y_OF_50, np.tile([0, 0, 1, 1, 0, 1, 1, 0, 0.4, 0.6], 5)),
    "right and certain": (Y_OF_50, Y_OF_50.astype(float)),
    "wrong and certain": (Y_OF_50, 1.0 - Y_OF_50),
    "all equal": (Y_OF_50, np.full(50, 0.4)),
}


def test_the_index_is_undefined_below_fifty_patients():
    labels, p = simulated(50, 4, 0.7)
    for n in (1, 9, 49):
        # Of two rows each: patients are counted, not rows.
        rows, patients = np.tile(np.arange(n), 2), np.tile(np.arange(n), 2)
        estimate = ici(labels[rows], p[rows], patients=patients, **BOOTSTRAP)
        assert np.isnan([estimate.value, estimate.ci_low, estimate.ci_high]).all()
        assert estimate.n == n
    assert not math.isnan(ici(labels, p, **BOOTSTRAP).value)


@pytest.mark.parametrize(("labels", "p"), [(Y, P), (np.repeat([0, 1], 5), P), (np.ones(1, dtype=int), np.full(1, 0.3))])
def test_the_curve_of_few_patients_stays_within_0_and_1(labels, p):
    observed = smooth_calibration(labels, p).observed
    assert np.all((observed >= 0) & (observed <= 1))


@pytest.mark.parametrize("case", HARD)
def test_nothing_leaves_0_and_1(case):
    labels, p = HARD[case]
    estimate, curve = ici(labels, p, **BOOTSTRAP), smooth_calibration(labels, p)
    assert 0 <= estimate.value <= 1
    if not math.isnan(estimate.ci_low):
        assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
    assert np.all((curve.observed >= 0) & (curve.observed <= 1))


def test_certain_probabilities_by_hand():
    assert ici(*HARD["right and certain"], **BOOTSTRAP).value == pytest.approx(0, abs=1e-6)
    wrong = ici(*HARD["wrong and certain"], **BOOTSTRAP)
    assert wrong.value == pytest.approx(1, abs=1e-6)
    # every replicate is the same, and an interval of width 0 would be a lie
    assert math.isnan(wrong.ci_low)
    assert ici(*HARD["all equal"], **BOOTSTRAP).value == pytest.approx(0.1, abs=1e-6)
