"""Literal values are R 4.2's; the commands stand beside them."""

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from fusion.errors import FusionError
from fusion.evaluation.operating_point import confusion, operating_point, proportion, wilson_interval, youden_threshold

LABELS = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.1, 0.3, 0.4, 0.65, 0.0])
SETTINGS = {"level": 0.95, "n_bootstrap": 400, "seed": 0}


def test_youden_lies_midway_between_neighbors():
    # Between 0.4 and 0.6: sensitivity 4/5, specificity 4/5; no other threshold adds up to more.
    assert youden_threshold(LABELS, SCORES) == pytest.approx(0.5)


def test_youden_takes_the_most_sensitive_of_equals():
    # 0.15 gives 1 + 1/2, 0.35 gives 1/2 + 1: both 1.5.
    assert youden_threshold(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.15)


def test_youden_never_divides_equal_scores():
    threshold = youden_threshold(np.array([0, 0, 1, 1, 1]), np.array([0.2, 0.5, 0.5, 0.5, 0.8]))
    assert threshold == pytest.approx(0.35)


def test_youden_of_a_model_that_is_wrong_calls_everybody_positive():
    assert youden_threshold(np.array([1, 1, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])) == 0.1
    assert youden_threshold(np.array([1, 0]), np.array([0.4, 0.4])) == 0.4


def test_youden_divides_neighboring_floats():
    low = 0.5
    scores = np.array([low, np.nextafter(low, 1)])
    threshold = youden_threshold(np.array([0, 1]), scores)
    assert (scores >= threshold).tolist() == [False, True]


def test_youden_needs_both_labels():
    with pytest.raises(FusionError, match="3 positive and 0 negative"):
        youden_threshold(np.ones(3, dtype=int), np.arange(3.0))


def test_confusion_counts_the_threshold_itself_as_positive():
    assert confusion(LABELS, SCORES, 0.6) == (4, 1, 4, 1)
    assert confusion(LABELS, SCORES, np.where(LABELS == 1, 0.95, 0.05)) == (0, 4, 1, 5)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # prop.test(hits, n, correct = FALSE)$conf.int
        (8, 10, 0.490162471537, 0.943317848546),
        (0, 10, 0.0, 0.277532799863),
        (10, 10, 0.722467200137, 1.0),
        # Newcombe, Stat Med 1998;17:857-872, Table I: .2553 to .3662 and .0624 to .1605.
        (81, 263, 0.255288519878, 0.366209576983),
        (15, 148, 0.0623863995307, 0.160487241723),
    ],
)
def test_wilson_equals_r(hits, n, low, high):
    assert wilson_interval(hits / n, n, level=0.95) == pytest.approx((low, high), abs=1e-10)
    rows = (np.arange(n) < hits).astype(float)
    estimate = proportion(rows, np.ones(n), level=0.95, patients=np.arange(n))
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((low, high), abs=1e-10)


def test_proportion_counts_patients_not_images():
    hits, patients = np.repeat((np.arange(10) < 8).astype(float), 3), np.repeat(np.arange(10), 3)
    estimate = proportion(hits, np.ones(30), level=0.95, patients=patients)
    assert (estimate.value, estimate.n) == (0.8, 10)
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((0.490162471537, 0.943317848546), abs=1e-10)


def test_figures_of_ten_patients():
    figures = operating_point(LABELS, SCORES, 0.5, **SETTINGS)
    assert {name: (estimate.value, estimate.n) for name, estimate in figures.items()} == {
        "sensitivity": (0.8, 5),
        "specificity": (0.8, 5),
        "ppv": (0.8, 5),
        "npv": (0.8, 5),
        "accuracy": (0.8, 10),
        "balanced_accuracy": (0.8, 10),
        "f1": (0.8, 10),
    }
    assert figures["accuracy"].ci_low == pytest.approx(0.490162471537)
    assert all(estimate.ci_low < 0.8 < estimate.ci_high for estimate in figures.values())


def test_figures_equal_scikit_learn():
    rng = np.random.default_rng(2)
    labels = (rng.random(300) < 0.3).astype(int)
    scores = rng.normal(labels)
    figures = operating_point(labels, scores, 0.4, **SETTINGS)
    assert figures["f1"].value == pytest.approx(f1_score(labels, scores >= 0.4))
    assert figures["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(labels, scores >= 0.4))
    # Balanced accuracy is the mean of two independent proportions: its standard error is known.
    sens, spec = figures["sensitivity"], figures["specificity"]
    error = 0.5 * math.sqrt(sens.value * (1 - sens.value) / sens.n + spec.value * (1 - spec.value) / spec.n)
    width = figures["balanced_accuracy"].ci_high - figures["balanced_accuracy"].ci_low
    assert width == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_a_missing_label_leaves_its_figures_undefined():
    figures = operating_point(np.ones(4, dtype=int), np.array([0.2, 0.6, 0.7, 0.8]), 0.5, **SETTINGS)
    assert figures["sensitivity"].value == 0.75
    for name in ("specificity", "balanced_accuracy"):
        assert np.isnan([figures[name].value, figures[name].ci_low, figures[name].ci_high]).all()
    assert figures["specificity"].n == 0


def test_nobody_called_positive_leaves_ppv_undefined():
    figures = operating_point(LABELS, SCORES, 2.0, **SETTINGS)
    assert math.isnan(figures["ppv"].value)
    assert (figures["npv"].value, figures["f1"].value) == (0.5, 0.0)


def test_the_same_seed_gives_the_same_interval():
    one, other = (operating_point(LABELS, SCORES, 0.5, **SETTINGS | {"seed": seed})["f1"] for seed in (0, 0))
    assert one == other
