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


# 22 benign all called right, and 8 of 68 malignant: what the sample does not show is not known for that.
ONE_SIDED = np.repeat([0, 1], [22, 68]), np.repeat([0, 1], [82, 8])


def test_a_label_without_an_error_is_not_taken_for_known():
    # R 4.2: set.seed(1); a <- rbeta(1e6, 22.5, .5); b <- rbeta(1e6, 8.5, 60.5); q <- c(.025, .975)
    # quantile((a + b) / 2, q); t <- 68 * b; f <- 22 * (1 - a); quantile(2 * t / (68 + t + f), q)
    # quantile((a + b - 1) * sqrt(22 * 68) / sqrt((t + f) * (90 - t - f)), q)
    figures = dict(FIGURES, f1=f1_of_last)
    settings = {"n_labels": 2, "level": 0.95, "n_bootstrap": 20_000, "seed": 0, "patients": np.arange(90)}
    result = table_estimates(*ONE_SIDED, figures, **settings)
    limits = {name: (estimate.ci_low, estimate.ci_high) for name, estimate in result.items()}
    assert limits["balanced_accuracy"] == pytest.approx((0.4990522, 0.5984685), abs=3e-3)
    assert limits["f1"] == pytest.approx((0.1073519, 0.3446585), abs=5e-3)
    assert limits["mcc"] == pytest.approx((-0.002883985, 0.234023524), abs=1e-2)


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        ((22, 68), [[0.95, 0.05], [0.95, 0.05]]),
        ((22, 68), [[0.97, 0.03], [0.88, 0.12]]),
        ((11, 7), [[0.9, 0.1], [0.3, 0.7]]),
        ((51, 19), [[0.75, 0.25], [0.2, 0.8]]),
        ((45, 15, 10), [[0.95, 0.04, 0.01], [0.9, 0.08, 0.02], [0.9, 0.05, 0.05]]),
        ((45, 15, 10), [[0.98, 0.01, 0.01], [0.02, 0.97, 0.01], [0.01, 0.02, 0.97]]),
    ],
)
def test_intervals_hold_the_truth_where_the_bootstrap_does_not(sizes, rows):
    n_labels = len(sizes)
    truth = np.array(rows) * np.array(sizes)[:, None]
    true, rng = np.repeat(np.arange(n_labels), sizes), np.random.default_rng(0)
    held = dict.fromkeys(FIGURES, 0)
    for _ in range(300):
        called = np.concatenate([rng.choice(n_labels, n, p=row) for n, row in zip(sizes, rows, strict=True)])
        for name, estimate in estimates(true, called, n_labels, n_bootstrap=400).items():
            held[name] += estimate.ci_low <= FIGURES[name](truth[None])[0] <= estimate.ci_high
    # 300 cohorts tell 95 % to 2.5 percentage points; BCa came to 67 to 81 % in the first and fifth.
    assert min(held.values()) >= 0.9 * 300


def test_rows_of_a_patient_that_differ_say_more_than_one():
    # 10 patients, 2 rows each: the same calls tell of 10, calls independent of the patient nearly of 20.
    true, patients = np.repeat([0, 1], 20), np.repeat(np.arange(20), 2)
    alike = np.repeat(np.tile([0, 1], 10), 2)
    mixed = np.tile([0, 0, 1, 1, 0, 1, 0, 1], 5)
    widths = []
    for called in (alike, mixed):
        estimate = estimates(true, called, 2, patients=patients)["balanced_accuracy"]
        assert estimate.value == 0.5
        widths.append(estimate.ci_high - estimate.ci_low)
    assert widths[1] < 0.8 * widths[0]


def test_several_images_of_a_patient_do_not_narrow_the_interval():
    for true, called in ((TRUE, CALLED), (TRUE, TRUE)):
        once = estimates(true, called, 3)
        often = estimates(np.repeat(true, 5), np.repeat(called, 5), 3, patients=np.repeat(np.arange(10), 5))
        for name, estimate in once.items():
            assert (often[name].ci_low, often[name].ci_high) == pytest.approx((estimate.ci_low, estimate.ci_high))
            assert often[name].n == 10
