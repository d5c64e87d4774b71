"""Literal values are R 4.2's with pROC 1.18.0; the commands stand beside them."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fusion.evaluation.delong import delong, delong_difference, delong_fold_mean, newcombe_interval

# fmt: off
GOOD = [0.13,0.14,0.1,0.04,0.47,0.18,0.1,0.1,0.04,0.08,0.04,0.09,0.11,0.07,0.17,0.07,0.11,0.13,0.19,0.05,0.16,0.14,
        0.34,0.09,0.5,0.46,0.16,0.07,0.43,0.45,0.11,0.08,0.09,0.08,0.06,0.13,0.1,0.14,0.15,0.06,0.05,0.09,0.04,0.09,
        0.08,0.16,0.09,0.08,0.33,0.11,0.28,0.07,0.1,0.32,0.07,0.05,0.24,0.38,0.1,0.15,0.08,0.14,0.1,0.07,0.04,0.19,
        0.15,0.47,0.17,0.15,0.5,0.48]
POOR = [0.13,0.1,0.16,0.12,0.44,0.71,0.49,0.07,0.33,0.09,0.07,0.41,0.35,0.48,0.96,0.25,0.86,0.52,2.07,0.07,0.77,0.3,
        0.03,0.09,0.23,0.7,0.27,0.71,0.08,0.26,0.13,0.1,0.11,0.22,0.56,0.14,0.58,0.32,0.82,0.74,0.44]
# fmt: on
WFNS_GOOD = "111151221221112121134141551124112212122111121211324214115422111312244111"
WFNS_POOR = "32455552521254425552525245441442255225555"
TEN_LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
TEN_SCORES = np.array([0.9, 0.8, 0.8, 0.35, 0.8, 0.4, 0.35, 0.2, 0.1, 0.6])
TEN_OTHERS = np.array([0.7, 0.8, 0.3, 0.5, 0.6, 0.6, 0.2, 0.1, 0.4, 0.9])


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


def test_ties_and_certainties_stay_within_zero_and_one():
    rng = np.random.default_rng(2)
    for _ in range(50):
        labels = np.append([0, 1], rng.integers(0, 2, 8))
        estimate = delong(labels, rng.choice([0.0, 0.5, 1.0], 10), level=0.99)
        assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
        assert estimate.ci_low < estimate.ci_high


def test_paired_difference_of_ten_patients_equals_proc():
    # roc.test(roc(y, s, direction = "<"), roc(y, t, direction = "<"), paired = TRUE, method = "delong")
    (difference, p) = delong_difference(TEN_LABELS, TEN_SCORES, TEN_OTHERS, level=0.95)
    assert difference.value == pytest.approx(0.02, abs=1e-12)
    assert interval(difference) == pytest.approx([-0.269385214362, 0.309385214362], abs=1e-11)
    assert p == pytest.approx(0.892250486904, abs=1e-11)
    assert difference.n == 10


def test_paired_difference_in_the_subarachnoid_hemorrhage_cohort_equals_proc():
    # data(aSAH); the same of roc(aSAH$outcome == "Poor", aSAH$s100b) and of as.numeric(aSAH$wfns)
    labels = np.repeat([0, 1], [len(GOOD), len(POOR)])
    wfns = np.array([float(grade) for grade in WFNS_GOOD + WFNS_POOR])
    difference, p = delong_difference(labels, np.array(GOOD + POOR), wfns, level=0.95)
    assert difference.value == pytest.approx(0.7313685636856 - 0.8236788617886, abs=1e-12)
    assert interval(difference) == pytest.approx([-0.1742144192495, -0.0104061769565], abs=1e-11)
    assert p == pytest.approx(0.0271757822292, abs=1e-11)


def test_paired_difference_with_probabilities_of_zero_and_one_equals_proc():
    # y <- rep(0:1, each = 5); s <- c(0,.1,.2,.3,.6,.5,.7,.8,.9,1); t <- c(0,0,0,1,1,0,1,1,1,1)
    scores, others = (
        np.array([0, 0.1, 0.2, 0.3, 0.6, 0.5, 0.7, 0.8, 0.9, 1]),
        np.array([0.0, 0, 0, 1, 1, 0, 1, 1, 1, 1]),
    )
    difference, p = delong_difference(np.repeat([0, 1], 5), scores, others, level=0.95)
    assert difference.value == pytest.approx(0.26)
    assert interval(difference) == pytest.approx([0.026443336096234, 0.493556663903766], abs=1e-12)
    assert p == pytest.approx(0.029119015437455, abs=1e-12)


def test_swapping_the_models_turns_the_sign_alone():
    there = delong_difference(TEN_LABELS, TEN_SCORES, TEN_OTHERS, level=0.9)
    back = delong_difference(TEN_LABELS, TEN_OTHERS, TEN_SCORES, level=0.9)
    assert back.difference.value == pytest.approx(-there.difference.value)
    assert interval(back.difference) == pytest.approx([-there.difference.ci_high, -there.difference.ci_low])
    assert back.p == pytest.approx(there.p)


def test_scores_that_rank_alike_do_not_differ():
    for same in (TEN_SCORES, TEN_SCORES**3):
        difference, p = delong_difference(TEN_LABELS, TEN_SCORES, same, level=0.95)
        assert (difference.value, difference.ci_low, difference.ci_high, p) == (0, 0, 0, 1)


def test_two_perfect_models_that_rank_differently_have_a_wide_interval():
    labels, one = np.repeat([0, 1], 5), np.arange(10.0)
    difference, p = delong_difference(labels, one, one[[1, 0, 2, 3, 4, 5, 6, 7, 9, 8]], level=0.95)
    # Each AUC is 1 with Newcombe's interval [0.6427, 1].
    assert (difference.value, p) == (0, 1)
    assert interval(difference) == pytest.approx([0.642702823931 - 1, 1 - 0.642702823931], abs=1e-9)


def test_perfect_against_constant_has_an_interval_and_a_p_that_agree():
    labels, perfect, constant = np.repeat([0, 1], 5), np.arange(10.0), np.full(10, 0.3)
    difference, p = delong_difference(labels, perfect, constant, level=0.95)
    chance = newcombe_interval(0.5, 5, 5, level=0.95)
    low = 0.5 - math.hypot(1 - 0.642702823931, chance[1] - 0.5)
    assert interval(difference) == pytest.approx([low, 0.5 + 0.5 - chance[0]], abs=1e-9)
    assert 0 < p < 1
    touching = delong_difference(labels, perfect, constant, level=1 - p).difference
    assert touching.ci_low == pytest.approx(0, abs=1e-6)
    assert delong_difference(labels, constant, perfect, level=0.95).p == pytest.approx(p)


def test_opposite_perfect_models_differ_by_no_more_than_one():
    labels, scores = np.repeat([0, 1], 5), np.arange(10.0)
    difference, p = delong_difference(labels, scores, -scores, level=0.95)
    assert difference.value == 1
    assert difference.ci_high == 1
    assert p < 0.05


def test_the_difference_never_leaves_minus_one_and_one():
    labels, scores = np.repeat([0, 1], 5), np.array([0.0, 1, 2, 3, 5, 4, 6, 7, 8, 9])
    difference, _ = delong_difference(labels, scores, -scores, level=0.999)
    assert difference.ci_high == 1


def test_every_row_twice_leaves_the_difference_alone_when_the_patients_are_known():
    once = delong_difference(TEN_LABELS, TEN_SCORES, TEN_OTHERS, level=0.95)
    labels, scores, others = (np.tile(column, 2) for column in (TEN_LABELS, TEN_SCORES, TEN_OTHERS))
    twice = delong_difference(labels, scores, others, level=0.95, patients=list("abcdefghij") * 2)
    assert twice.p == pytest.approx(once.p)
    assert (*interval(twice.difference), twice.difference.n) == pytest.approx((*interval(once.difference), 10))
    assert delong_difference(labels, scores, others, level=0.95).p < once.p


def test_difference_without_one_of_the_labels_is_undefined():
    difference, p = delong_difference(np.ones(4, dtype=int), np.arange(4.0), -np.arange(4.0), level=0.95)
    assert np.isnan([difference.value, *interval(difference), p]).all()
    assert difference.n == 4


def test_difference_with_a_single_patient_of_a_label_has_an_interval():
    first, second = np.array([0.6, 0.7, 0.2, 0.1]), np.array([0.6, 0.7, 0.8, 0.1])
    difference, p = delong_difference(np.array([1, 0, 0, 0]), first, second, level=0.95)
    assert difference.value == pytest.approx(1 / 3)
    assert -1 <= difference.ci_low < 0 < 1 / 3 < difference.ci_high <= 1
    assert 0.05 < p < 1


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
