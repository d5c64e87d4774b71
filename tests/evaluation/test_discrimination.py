"""Literal values are R 4.2's with pROC 1.18.0; the commands stand beside them."""

import math
import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from fusion.evaluation.discrimination import delong, delong_fold_mean, macro_auc, roc_curve
from fusion.evaluation.operating_point import confusion, youden_threshold

# fmt: off
GOOD = [0.13,0.14,0.1,0.04,0.47,0.18,0.1,0.1,0.04,0.08,0.04,0.09,0.11,0.07,0.17,0.07,0.11,0.13,0.19,0.05,0.16,0.14,
        0.34,0.09,0.5,0.46,0.16,0.07,0.43,0.45,0.11,0.08,0.09,0.08,0.06,0.13,0.1,0.14,0.15,0.06,0.05,0.09,0.04,0.09,
        0.08,0.16,0.09,0.08,0.33,0.11,0.28,0.07,0.1,0.32,0.07,0.05,0.24,0.38,0.1,0.15,0.08,0.14,0.1,0.07,0.04,0.19,
        0.15,0.47,0.17,0.15,0.5,0.48]
POOR = [0.13,0.1,0.16,0.12,0.44,0.71,0.49,0.07,0.33,0.09,0.07,0.41,0.35,0.48,0.96,0.25,0.86,0.52,2.07,0.07,0.77,0.3,
        0.03,0.09,0.23,0.7,0.27,0.71,0.08,0.26,0.13,0.1,0.11,0.22,0.56,0.14,0.58,0.32,0.82,0.74,0.44]
# fmt: on
TEN_LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
TEN_SCORES = np.array([0.9, 0.8, 0.8, 0.35, 0.8, 0.4, 0.35, 0.2, 0.1, 0.6])


def interval(estimate):
    return [estimate.ci_low, estimate.ci_high]


def test_ten_patients_with_ties_equal_proc():
    # r <- roc(y, s, direction = "<"); v <- var(r); a <- auc(r)
    # plogis(qlogis(a) + c(-1, 1) * qnorm(.975) * sqrt(v) / (a * (1 - a)))
    estimate = delong(TEN_LABELS, TEN_SCORES, level=0.95)
    assert estimate.value == pytest.approx(0.82, abs=1e-12)
    assert interval(estimate) == pytest.approx([0.412859261238, 0.96722777843], abs=1e-9)
    assert estimate.n == 10


def test_subarachnoid_hemorrhage_cohort_equals_proc():
    # data(aSAH); roc(aSAH$outcome, aSAH$s100b, levels = c("Good", "Poor"), direction = "<"), then as above
    labels = np.repeat([0, 1], [len(GOOD), len(POOR)])
    estimate = delong(labels, np.array(GOOD + POOR), level=0.95)
    assert estimate.value == pytest.approx(0.731368563686, abs=1e-11)
    assert interval(estimate) == pytest.approx([0.619216938993, 0.820085749913], abs=1e-9)


def test_youden_of_that_cohort_equals_proc():
    # coords(r, "best", best.method = "youden", ret = c("threshold", "tp", "fp", "tn", "fn"))
    labels, scores = np.repeat([0, 1], [len(GOOD), len(POOR)]), np.array(GOOD + POOR)
    threshold = youden_threshold(labels, scores)
    assert threshold == pytest.approx(0.205)
    assert confusion(labels, scores, threshold) == (26, 14, 58, 15)


def test_perfect_separation_has_an_interval_up_to_one():
    # uniroot of (1-t)^2 - z^2 t(1-t)/25 * (1 + 4 ((1-t)/(2-t) + t/(1+t)))
    estimate = delong(np.repeat([0, 1], 5), np.arange(10.0), level=0.95)
    assert estimate.value == 1
    assert interval(estimate) == pytest.approx([0.642702823931, 1], abs=1e-9)


def test_perfectly_wrong_mirrors_perfectly_right():
    estimate = delong(np.repeat([1, 0], 5), np.arange(10.0), level=0.95)
    assert estimate.value == 0
    assert interval(estimate) == pytest.approx([0, 1 - 0.642702823931], abs=1e-9)


def test_constant_scores_are_chance_with_a_wide_interval():
    estimate = delong(np.repeat([0, 1], [6, 4]), np.full(10, 0.3), level=0.95)
    assert estimate.value == 0.5
    assert interval(estimate) == pytest.approx([0.201848664811, 0.798151335189], abs=1e-9)


def test_a_label_with_one_patient_has_an_interval():
    estimate = delong(np.array([1, 0, 0, 0]), np.array([0.6, 0.7, 0.2, 0.1]), level=0.95)
    assert estimate.value == pytest.approx(2 / 3)
    assert 0 < estimate.ci_low < 2 / 3 < estimate.ci_high < 1


@pytest.mark.parametrize("labels", [np.zeros(4, dtype=int), np.ones(4, dtype=int), np.array([], dtype=int)])
def test_a_missing_label_leaves_it_undefined(labels):
    estimate = delong(labels, np.linspace(0, 1, len(labels)), level=0.95)
    assert math.isnan(estimate.value)
    assert np.isnan(interval(estimate)).all()
    assert estimate.n == len(labels)


def test_interval_stays_inside_zero_and_one():
    scores = np.array([0.0, 0, 0, 0, 0.4, 0.3, 1, 1, 1, 1])
    estimate = delong(np.repeat([0, 1], 5), scores, level=0.999)
    assert 0 < estimate.ci_low < estimate.value < estimate.ci_high < 1


def test_every_row_twice_changes_nothing_when_the_patients_are_known():
    once = delong(TEN_LABELS, TEN_SCORES, level=0.95)
    twice = delong(np.tile(TEN_LABELS, 2), np.tile(TEN_SCORES, 2), level=0.95, patients=list("abcdefghij") * 2)
    blind = delong(np.tile(TEN_LABELS, 2), np.tile(TEN_SCORES, 2), level=0.95)
    assert (twice.value, *interval(twice)) == pytest.approx((once.value, *interval(once)))
    assert twice.n == 10
    assert blind.ci_high - blind.ci_low < once.ci_high - once.ci_low


def test_clustered_variance_by_hand():
    # Obuchowski 1997 with patients a (two images), b positive; c, d (two images) negative. AUC = 7/9.
    # Placements: positive 1, 2/3, 2/3; negative 1, 1/3, 1. Patient sums of (placement - 7/9), each label M = 3 rows:
    # positive a 1/9, b -1/9; negative c 2/9, d (1/3 - 7/9) + (1 - 7/9) = -2/9.
    # Variance: 2/1 * [(1/9)^2 + (1/9)^2] / 9 + 2/1 * [(2/9)^2 + (2/9)^2] / 9 = 20 / 729.
    labels, scores = np.array([1, 1, 1, 0, 0, 0]), np.array([0.9, 0.5, 0.4, 0.3, 0.6, 0.1])
    estimate = delong(labels, scores, level=0.95, patients=["a", "a", "b", "c", "d", "d"])
    auc, half = 7 / 9, 1.959963984540054 * math.sqrt(20 / 729) / (7 / 9 * 2 / 9)
    center = math.log(auc / (1 - auc))
    assert estimate.value == pytest.approx(auc)
    assert interval(estimate) == pytest.approx([1 / (1 + math.exp(half - center)), 1 / (1 + math.exp(-half - center))])
    assert estimate.n == 4


def test_fold_mean_is_the_mean_of_the_folds_own_areas():
    rng = np.random.default_rng(0)
    labels, folds = rng.integers(0, 2, 200), np.repeat(np.arange(4), 50)
    scores = rng.normal(labels + 3 * folds)
    estimate = delong_fold_mean(labels, scores, folds, level=0.95)
    areas = [roc_auc_score(labels[folds == k], scores[folds == k]) for k in range(4)]
    assert estimate.value == pytest.approx(np.mean(areas))
    assert estimate.value > delong(labels, scores, level=0.95).value + 0.1
    assert estimate.n == 200


def test_fold_mean_interval_adds_the_folds_variances():
    folds = np.repeat([0, 1], 10)
    estimate = delong_fold_mean(np.tile(TEN_LABELS, 2), np.tile(TEN_SCORES, 2), folds, level=0.95)
    # pROC's variance of one fold is 0.0198; the mean of two independent ones has half of it.
    half = 1.959963984540054 * math.sqrt(0.0198 / 2) / (0.82 * 0.18)
    assert math.log(estimate.ci_high / (1 - estimate.ci_high)) == pytest.approx(math.log(0.82 / 0.18) + half)


def test_fold_mean_leaves_out_a_fold_without_both_labels_and_says_so_in_n():
    labels, folds = np.append(TEN_LABELS, [1, 1]), np.append(np.zeros(10, dtype=int), [1, 1])
    estimate = delong_fold_mean(labels, np.append(TEN_SCORES, [0.2, 0.3]), folds, level=0.95)
    assert (estimate.value, estimate.n) == (pytest.approx(0.82), 10)


def test_macro_auc_equals_scikit_learn_and_repeats():
    rng = np.random.default_rng(1)
    labels, probabilities = rng.integers(0, 3, 90), rng.dirichlet([1, 1, 1], 90).round(1)
    probabilities /= probabilities.sum(1, keepdims=True)
    settings = {"level": 0.95, "n_bootstrap": 500, "seed": 3}
    estimate = macro_auc(labels, probabilities, **settings)
    expected = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert estimate.value == pytest.approx(expected)
    assert estimate.ci_low < expected < estimate.ci_high
    assert macro_auc(labels, probabilities, **settings) == estimate
    assert macro_auc(labels, probabilities, **settings | {"seed": 4}) != estimate


def test_macro_bootstrap_agrees_with_delong_for_two_labels():
    labels = np.repeat([0, 1], [len(GOOD), len(POOR)])
    scores = np.array(GOOD + POOR) / 3
    probabilities = np.stack([1 - scores, scores], axis=1)
    bootstrap = macro_auc(labels, probabilities, level=0.95, n_bootstrap=2000, seed=0)
    assert interval(bootstrap) == pytest.approx(interval(delong(labels, scores, level=0.95)), abs=0.02)


def test_macro_auc_without_one_of_the_labels_is_undefined():
    estimate = macro_auc(np.array([0, 1]), np.full((2, 3), 1 / 3), level=0.95, n_bootstrap=10, seed=0)
    assert math.isnan(estimate.value)


def test_roc_curve_equals_scikit_learn():
    curve = roc_curve(TEN_LABELS, TEN_SCORES)
    expected = sklearn_roc_curve(TEN_LABELS, TEN_SCORES, drop_intermediate=False)
    for ours, theirs in zip(curve, expected, strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_roc_curve_refuses_a_missing_label():
    with pytest.raises(ValueError, match="4 positive and 0 negative"):
        roc_curve(np.ones(4, dtype=int), np.arange(4.0))


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        (np.array([0, 1]), np.array([0.1, math.nan]), "finite"),
        (np.array([0, 2]), np.array([0.1, 0.2]), "0 and 1"),
        (np.array([0, 1]), np.array([0.1]), "per row"),
    ],
)
def test_bad_input_is_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        delong(labels, scores, level=0.95)


def test_a_million_rows_take_under_two_seconds():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 10**6)
    scores = rng.normal(labels)
    started = time.process_time()
    delong(labels, scores, level=0.95)
    assert time.process_time() - started < 2
