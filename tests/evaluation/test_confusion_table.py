import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef

from fusion.evaluation.confusion_table import balanced_accuracy, f1_of_last, macro_f1, matthews, table_estimates

FIGURES = {"balanced_accuracy": balanced_accuracy, "f1": macro_f1, "mcc": matthews}
TRUE = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
CALLED = [0, 0, 1, 2, 1, 1, 0, 2, 2, 2]


def table(true, called, n_labels):
    counts = np.zeros((1, n_labels, n_labels))
    np.add.at(counts[0], (true, called), 1)
    return counts


def estimates(true, called, n_labels, *, patients=None, level=0.95, n_bootstrap=2000):
    true, called = np.asarray(true), np.asarray(called)
    return table_estimates(
        true,
        called,
        FIGURES,
        n_labels=n_labels,
        level=level,
        n_bootstrap=n_bootstrap,
        seed=0,
        patients=np.arange(len(true)) if patients is None else patients,
    )


def test_figures_of_three_labels():
    # sklearn.metrics 1.9 on TRUE, CALLED: matthews_corrcoef, f1_score(average="macro"), balanced_accuracy_score
    counts = table(TRUE, CALLED, 3)
    assert matthews(counts)[0] == pytest.approx(0.5606060606060606)
    assert macro_f1(counts)[0] == pytest.approx(0.6984126984126985)
    assert balanced_accuracy(counts)[0] == pytest.approx(0.7222222222222222)


@pytest.mark.parametrize("n_labels", [2, 3, 5])
def test_figures_equal_scikit_learn(n_labels):
    rng = np.random.default_rng(n_labels)
    for _ in range(20):
        true = np.append(np.arange(n_labels), rng.integers(0, n_labels, 30))
        called = np.where(rng.random(len(true)) < 0.6, true, rng.integers(0, n_labels, len(true)))
        counts = table(true, called, n_labels)
        assert matthews(counts)[0] == pytest.approx(matthews_corrcoef(true, called))
        assert macro_f1(counts)[0] == pytest.approx(f1_score(true, called, average="macro"))
        assert balanced_accuracy(counts)[0] == pytest.approx(balanced_accuracy_score(true, called))
        if n_labels == 2:
            assert f1_of_last(counts)[0] == pytest.approx(f1_score(true, called))


def test_all_called_the_same_is_no_correlation():
    assert matthews(table([0, 1, 2], [1, 1, 1], 3))[0] == 0
    assert matthews(table([0, 1], [1, 0], 2))[0] == -1


def test_a_missing_label_leaves_the_means_undefined():
    counts = table([0, 0, 1, 1], [0, 2, 1, 1], 3)
    assert math.isnan(balanced_accuracy(counts)[0])
    assert math.isnan(macro_f1(counts)[0])
    # R_K needs only two labels to correlate with.
    assert matthews(counts)[0] == pytest.approx(matthews_corrcoef([0, 0, 1, 1], [0, 2, 1, 1]))
    assert math.isnan(matthews(table([0, 0], [0, 1], 2))[0])
    result = estimates([0, 0, 1, 1], [0, 2, 1, 1], 3)
    assert math.isnan(result["f1"].ci_low)
    assert result["mcc"].ci_low <= result["mcc"].value <= result["mcc"].ci_high
    assert result["f1"].n == 4


def test_balanced_accuracy_has_the_width_of_its_standard_error():
    # The mean of two independent shares: its standard error is known.
    true = np.repeat([0, 1], [210, 90])
    called = np.concatenate([np.arange(210) < 60, np.arange(90) < 66]).astype(int)
    sensitivity, specificity = 66 / 90, 150 / 210
    error = 0.5 * math.sqrt(sensitivity * (1 - sensitivity) / 90 + specificity * (1 - specificity) / 210)
    estimate = estimates(true, called, 2)["balanced_accuracy"]
    assert estimate.ci_high - estimate.ci_low == pytest.approx(2 * 1.96 * error, rel=0.07)


def test_without_an_error_the_limit_is_jeffreys():
    # R 4.2: qbeta(.025, 10.5, .5) is that of one share; the other label's is known almost beyond doubt.
    true = np.repeat([0, 1], [5000, 10])
    estimate = estimates(true, true, 2, n_bootstrap=4000)["balanced_accuracy"]
    assert (estimate.value, estimate.ci_high) == (1, 1)
    assert estimate.ci_low == pytest.approx((1 + 0.7828037325) / 2, abs=0.01)


def test_three_labels_without_an_error_have_intervals_with_width():
    true = np.repeat([0, 1, 2], [4, 3, 3])
    for estimate in estimates(true, true, 3).values():
        assert estimate.value == estimate.ci_high == pytest.approx(1)
        assert 0.3 < estimate.ci_low < 0.9
    everybody = estimates(true, np.ones(10, dtype=int), 3)
    for estimate in everybody.values():
        assert -1 <= estimate.ci_low <= estimate.value <= estimate.ci_high < 0.9
        assert estimate.ci_low < estimate.ci_high


def test_several_images_of_a_patient_do_not_narrow_the_interval():
    for true, called in ((TRUE, CALLED), (TRUE, TRUE)):
        once = estimates(true, called, 3)
        often = estimates(np.repeat(true, 5), np.repeat(called, 5), 3, patients=np.repeat(np.arange(10), 5))
        for name, estimate in once.items():
            assert (often[name].ci_low, often[name].ci_high) == pytest.approx((estimate.ci_low, estimate.ci_high))
            assert often[name].n == 10
