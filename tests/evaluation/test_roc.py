"""Literal values are R 4.2's with pROC 1.18.0; the commands stand beside them."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from fusion.evaluation.delong import delong, newcombe_interval
from fusion.evaluation.roc import bootstrap_auc, macro_auc, partial_auc, roc_curve

TEN_LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
TEN_SCORES = np.array([0.9, 0.8, 0.8, 0.35, 0.8, 0.4, 0.35, 0.2, 0.1, 0.6])
# data(aSAH); table(aSAH$outcome, aSAH$wfns)
WFNS_LABELS = np.repeat([0, 1], [72, 41])
WFNS = np.concatenate([np.repeat([1.0, 2, 3, 4, 5], counts) for counts in ((37, 20, 3, 8, 4), (2, 12, 1, 8, 18))])
SETTINGS = {"level": 0.95, "n_bootstrap": 1000, "seed": 0}


def interval(estimate):
    return [estimate.ci_low, estimate.ci_high]


def test_roc_curve_equals_scikit_learn():
    curve = roc_curve(TEN_LABELS, TEN_SCORES)
    expected = sklearn_roc_curve(TEN_LABELS, TEN_SCORES, drop_intermediate=False)
    for ours, theirs in zip(curve, expected, strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_roc_curve_refuses_a_missing_label():
    with pytest.raises(ValueError, match="4 positive and 0 negative"):
        roc_curve(np.ones(4, dtype=int), np.arange(4.0))


def test_bootstrapped_auc_agrees_with_delong_and_with_proc():
    # ci.auc(roc(o, w, direction = "<"), method = "bootstrap", boot.n = 10000): 0.7436 to 0.8921 (percentile)
    estimate = bootstrap_auc(WFNS_LABELS, WFNS, level=0.95, n_bootstrap=4000, seed=0)
    assert estimate.value == pytest.approx(0.82367886178862)
    assert interval(estimate) == pytest.approx([0.7436, 0.8921], abs=0.012)
    assert interval(estimate) == pytest.approx(interval(delong(WFNS_LABELS, WFNS, level=0.95)), abs=0.012)


@pytest.mark.parametrize("order", [1, -1])
def test_where_no_replicate_differs_the_interval_is_newcombes(order):
    labels, scores = np.repeat([0, 1], [6, 4]), order * np.arange(10.0)
    assert bootstrap_auc(labels, scores, **SETTINGS) == delong(labels, scores, level=0.95)


def test_a_label_with_one_patient_has_newcombes_interval():
    labels, scores = np.array([1, 0, 0, 0]), np.array([0.6, 0.7, 0.2, 0.1])
    assert interval(bootstrap_auc(labels, scores, **SETTINGS)) == interval(delong(labels, scores, level=0.95))


def test_macro_auc_equals_scikit_learn_and_repeats():
    rng = np.random.default_rng(1)
    labels, probabilities = rng.integers(0, 3, 90), rng.dirichlet([1, 1, 1], 90).round(1)
    probabilities /= probabilities.sum(1, keepdims=True)
    estimate = macro_auc(labels, probabilities, **SETTINGS)
    expected = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert estimate.value == pytest.approx(expected)
    assert estimate.ci_low < expected < estimate.ci_high
    assert macro_auc(labels, probabilities, **SETTINGS) == estimate
    assert macro_auc(labels, probabilities, **SETTINGS | {"seed": 4}) != estimate


def test_macro_auc_of_two_labels_is_the_auc():
    scores = WFNS / 5
    macro = macro_auc(WFNS_LABELS, np.stack([1 - scores, scores], axis=1), **SETTINGS)
    binary = bootstrap_auc(WFNS_LABELS, scores, **SETTINGS)
    assert (macro.value, *interval(macro)) == pytest.approx((binary.value, *interval(binary)))


def test_perfect_macro_auc_has_an_interval_up_to_one():
    labels = np.repeat([0, 1, 2], 4)
    estimate = macro_auc(labels, np.eye(3)[labels], **SETTINGS)
    assert (estimate.value, estimate.ci_high) == (1, 1)
    assert estimate.ci_low == pytest.approx(newcombe_interval(1, 4, 8, level=0.95)[0])


def test_macro_auc_without_one_of_the_labels_is_undefined():
    estimate = macro_auc(np.array([0, 1]), np.full((2, 3), 1 / 3), **SETTINGS)
    assert np.isnan([estimate.value, *interval(estimate)]).all()


@pytest.mark.parametrize(
    ("above", "ten", "wfns"),
    [
        # auc(roc(y, s, direction = "<"), partial.auc = c(1, above), partial.auc.correct = TRUE); wfns likewise
        (0.5, 0.766666666667, 0.78072584779902),
        (0.8, 0.666666666667, 0.70355314664258),
        (0.9, 0.631578947368, 0.64969333903865),
        (0.0, 0.82, 0.82367886178862),
    ],
)
def test_partial_auc_with_ties_equals_proc(above, ten, wfns):
    assert partial_auc(TEN_LABELS, TEN_SCORES, above_specificity=above, **SETTINGS).value == pytest.approx(ten)
    assert partial_auc(WFNS_LABELS, WFNS, above_specificity=above, **SETTINGS).value == pytest.approx(wfns)


def test_partial_auc_below_the_diagonal_equals_proc():
    # the same of 1 - y, partial.auc = c(1, 0.5), allow.invalid.partial.auc.correct = TRUE
    estimate = partial_auc(1 - TEN_LABELS, TEN_SCORES, above_specificity=0.5, **SETTINGS)
    assert estimate.value == pytest.approx(0.363333333333)


def test_partial_auc_with_probabilities_of_zero_and_one_equals_proc():
    # roc(rep(0:1, each = 5), c(0,0,0,0,.4,.3,1,1,1,1)), partial.auc = c(1, 0.8)
    scores = np.array([0.0, 0, 0, 0, 0.4, 0.3, 1, 1, 1, 1])
    estimate = partial_auc(np.repeat([0, 1], 5), scores, above_specificity=0.8, **SETTINGS)
    assert estimate.value == pytest.approx(0.888888888889)
    assert 0 <= estimate.ci_low < estimate.value < estimate.ci_high <= 1


def test_partial_auc_interval_agrees_with_proc():
    # set.seed(1); ci.auc(roc(o, w, direction = "<", partial.auc = c(1, .8), partial.auc.correct = TRUE),
    #                     method = "bootstrap", boot.n = 10000): 0.6137 to 0.8009 (percentile)
    estimate = partial_auc(WFNS_LABELS, WFNS, above_specificity=0.8, **SETTINGS)
    assert interval(estimate) == pytest.approx([0.6137, 0.8009], abs=0.02)


def test_perfect_partial_auc_by_hand():
    # Mean sensitivity 1 of min(20 positives, 0.2 x 30 negatives) = 6 patients: Wilson from 1 / (1 + z^2 / 6).
    labels = np.repeat([0, 1], [30, 20])
    estimate = partial_auc(labels, np.arange(50.0), above_specificity=0.8, **SETTINGS)
    wilson = 1 / (1 + 1.959963984540054**2 / 6)
    assert (estimate.value, estimate.ci_high) == pytest.approx((1, 1), abs=1e-12)
    assert estimate.ci_high <= 1
    assert estimate.ci_low == pytest.approx((1 + (wilson - 0.1) / 0.9) / 2)


def test_constant_scores_are_chance_in_part_too():
    estimate = partial_auc(np.repeat([0, 1], 20), np.full(40, 0.3), above_specificity=0.8, **SETTINGS)
    assert estimate.value == pytest.approx(0.5)
    assert estimate.ci_low < 0.5 < estimate.ci_high


def test_partial_auc_refuses_a_bound_of_one():
    with pytest.raises(ValueError, match="at least 0 and below 1, came 1"):
        partial_auc(TEN_LABELS, TEN_SCORES, above_specificity=1, **SETTINGS)


@pytest.mark.parametrize("labels", [np.zeros(4, dtype=int), np.ones(4, dtype=int), np.array([], dtype=int)])
def test_a_missing_label_leaves_all_undefined(labels):
    scores = np.linspace(0, 1, len(labels))
    estimates = [
        bootstrap_auc(labels, scores, **SETTINGS),
        partial_auc(labels, scores, above_specificity=0.8, **SETTINGS),
    ]
    for estimate in estimates:
        assert math.isnan(estimate.value)
        assert np.isnan(interval(estimate)).all()
        assert estimate.n == len(labels)


def test_no_interval_leaves_zero_and_one():
    rng = np.random.default_rng(3)
    settings = {"level": 0.99, "n_bootstrap": 60, "seed": 0}
    for _ in range(40):
        labels, scores = np.append([0, 1], rng.integers(0, 2, 8)), rng.choice([0.0, 0.2, 0.5, 1.0], 10)
        for estimate in (
            bootstrap_auc(labels, scores, **settings),
            partial_auc(labels, scores, above_specificity=0.8, **settings),
        ):
            assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
            assert estimate.ci_low < estimate.ci_high


def test_every_row_twice_changes_nothing_when_the_patients_are_known():
    settings = SETTINGS | {"above_specificity": 0.8}
    once = partial_auc(WFNS_LABELS, WFNS, **settings)
    twice = partial_auc(np.tile(WFNS_LABELS, 2), np.tile(WFNS, 2), patients=list(range(113)) * 2, **settings)
    assert (twice.value, *interval(twice), twice.n) == pytest.approx((once.value, *interval(once), 113))
