import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fusion.evaluation.precision_recall import average_precision, macro_average_precision

TEN_LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
TEN_SCORES = np.array([0.9, 0.8, 0.8, 0.35, 0.8, 0.4, 0.35, 0.2, 0.1, 0.6])
SETTINGS = {"level": 0.95, "n_bootstrap": 1000, "seed": 0}


def interval(estimate):
    return [estimate.ci_low, estimate.ci_high]


def test_ten_patients_with_ties_by_hand():
    # Thresholds 0.9, 0.8 (two positives of three), 0.6, 0.4 (none), 0.35: recall gained x precision.
    expected = 1 / 5 * 1 + 2 / 5 * 3 / 4 + 1 / 5 * 4 / 5 + 0 * 4 / 6 + 1 / 5 * 5 / 8
    estimate = average_precision(TEN_LABELS, TEN_SCORES, **SETTINGS)
    assert estimate.value == pytest.approx(expected)
    assert 0 < estimate.ci_low < expected < estimate.ci_high <= 1
    assert estimate.n == 10


def test_equals_scikit_learn_and_repeats():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 60), rng.random(60).round(1)
    estimate = average_precision(labels, scores, **SETTINGS)
    assert estimate.value == pytest.approx(average_precision_score(labels, scores))
    assert estimate == average_precision(labels, scores, **SETTINGS)
    assert estimate != average_precision(labels, scores, **SETTINGS | {"seed": 1})


def test_macro_equals_scikit_learn():
    rng = np.random.default_rng(1)
    labels, probabilities = rng.integers(0, 3, 90), rng.dirichlet([1, 1, 1], 90)
    estimate = macro_average_precision(labels, probabilities, **SETTINGS)
    assert estimate.value == pytest.approx(average_precision_score(np.eye(3)[labels], probabilities))
    assert 0 < estimate.ci_low < estimate.value < estimate.ci_high < 1


def test_perfect_separation_has_wilsons_interval_of_the_positive_patients():
    estimate = average_precision(np.repeat([0, 1], [20, 5]), np.arange(25.0), **SETTINGS)
    assert (estimate.value, estimate.ci_high) == (1, 1)
    assert estimate.ci_low == pytest.approx(1 / (1 + 1.959963984540054**2 / 5))


def test_perfect_macro_has_wilsons_interval_of_the_rarest_label():
    labels = np.repeat([0, 1, 2], [3, 4, 5])
    estimate = macro_average_precision(labels, np.eye(3)[labels], **SETTINGS)
    assert estimate.ci_low == pytest.approx(1 / (1 + 1.959963984540054**2 / 3))


def test_constant_scores_give_the_prevalence_with_an_interval():
    estimate = average_precision(np.repeat([0, 1], [7, 3]), np.full(10, 0.3), **SETTINGS)
    assert estimate.value == pytest.approx(0.3)
    assert estimate.ci_low < 0.3 < estimate.ci_high


@pytest.mark.parametrize("labels", [np.zeros(4, dtype=int), np.ones(4, dtype=int), np.array([], dtype=int)])
def test_a_missing_label_leaves_it_undefined(labels):
    estimate = average_precision(labels, np.linspace(0, 1, len(labels)), **SETTINGS)
    assert math.isnan(estimate.value)
    assert np.isnan(interval(estimate)).all()
    assert math.isnan(macro_average_precision(np.array([0, 1]), np.full((2, 3), 1 / 3), **SETTINGS).value)


def test_no_interval_leaves_zero_and_one():
    rng = np.random.default_rng(3)
    for _ in range(40):
        labels, scores = np.append([0, 1], rng.integers(0, 2, 8)), rng.choice([0.0, 0.2, 0.5, 1.0], 10)
        estimate = average_precision(labels, scores, level=0.99, n_bootstrap=60, seed=0)
        assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
        assert estimate.ci_low < estimate.ci_high


def test_every_row_twice_changes_nothing_when_the_patients_are_known():
    once = average_precision(TEN_LABELS, TEN_SCORES, **SETTINGS)
    labels, scores = np.tile(TEN_LABELS, 2), np.tile(TEN_SCORES, 2)
    twice = average_precision(labels, scores, patients=list("abcdefghij") * 2, **SETTINGS)
    assert (twice.value, *interval(twice), twice.n) == pytest.approx((once.value, *interval(once), 10))


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        average_precision(np.array([0, 1]), np.array([0.1, math.nan]), **SETTINGS)
