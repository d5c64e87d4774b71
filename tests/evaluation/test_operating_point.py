import math

import numpy as np
import pytest

from fusion.errors import FusionError
from fusion.evaluation.operating_point import confusion, operating_point

LABELS = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.1, 0.3, 0.4, 0.65, 0.0])
SETTINGS = {"level": 0.95, "n_bootstrap": 400, "seed": 0, "prevalence": None}
SHARES = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1")


def test_confusion_counts_the_threshold_itself_as_positive():
    assert confusion(LABELS, SCORES, 0.6) == (4, 1, 4, 1)
    assert confusion(LABELS, SCORES, np.where(LABELS == 1, 0.95, 0.05)) == (0, 4, 1, 5)


def test_figures_of_ten_patients():
    figures = operating_point(LABELS, SCORES, 0.5, **SETTINGS | {"prevalence": 0.2})
    assert {name: (estimate.value, estimate.n) for name, estimate in figures.items()} == {
        "sensitivity": (0.8, 5),
        "specificity": (0.8, 5),
        "ppv": (0.8, 5),
        "npv": (0.8, 5),
        "accuracy": (0.8, 10),
        "balanced_accuracy": (0.8, 10),
        "f1": (0.8, 10),
        # (16 - 1) / 25
        "mcc": (pytest.approx(0.6), 10),
        "lr_positive": (pytest.approx(4), 10),
        "lr_negative": (pytest.approx(0.25), 10),
        # 0.16 / (0.16 + 0.16) and 0.64 / (0.64 + 0.04)
        "ppv_at_prevalence": (pytest.approx(0.5), 10),
        "npv_at_prevalence": (pytest.approx(0.64 / 0.68), 10),
    }
    assert figures["accuracy"].ci_low == pytest.approx(0.490162471537)
    assert all(estimate.ci_low < estimate.value < estimate.ci_high for estimate in figures.values())


def test_the_threshold_itself_is_positive():
    figures = operating_point(LABELS, SCORES, 0.6, **SETTINGS)
    assert (figures["sensitivity"].value, figures["f1"].value) == (0.8, 0.8)
    assert operating_point(LABELS, SCORES, 0.65, **SETTINGS)["specificity"].value == 0.8


def test_each_row_may_have_a_threshold_of_its_own():
    thresholds = np.where(np.arange(10) % 2 == 0, 0.5, 0.25)
    figures = operating_point(LABELS, SCORES, thresholds, **SETTINGS)
    assert (figures["sensitivity"].value, figures["specificity"].value) == (0.8, 0.6)


def test_predictive_values_at_a_prevalence_only_where_one_is_given():
    assert not any("prevalence" in name for name in operating_point(LABELS, SCORES, 0.5, **SETTINGS))
    with pytest.raises(FusionError, match="came 20"):
        operating_point(LABELS, SCORES, 0.5, **SETTINGS | {"prevalence": 20})


def test_predictive_values_at_the_rows_own_prevalence_are_the_rows_own():
    rng = np.random.default_rng(3)
    labels = (rng.random(200) < 0.25).astype(int)
    scores = rng.normal(labels)
    figures = operating_point(labels, scores, 0.4, **SETTINGS | {"prevalence": float(labels.mean())})
    assert figures["ppv_at_prevalence"].value == pytest.approx(figures["ppv"].value)
    assert figures["npv_at_prevalence"].value == pytest.approx(figures["npv"].value)


def test_a_missing_label_leaves_its_figures_undefined():
    figures = operating_point(np.ones(4, dtype=int), np.array([0.2, 0.6, 0.7, 0.8]), 0.5, **SETTINGS)
    assert (figures["sensitivity"].value, figures["ppv"].value, figures["npv"].value) == (0.75, 1, 0)
    for name in ("specificity", "balanced_accuracy", "mcc", "lr_positive", "lr_negative"):
        assert np.isnan([figures[name].value, figures[name].ci_low, figures[name].ci_high]).all()
    assert figures["specificity"].n == 0
    without_positives = operating_point(np.zeros(4, dtype=int), np.array([0.2, 0.6, 0.7, 0.8]), 0.5, **SETTINGS)
    for name in ("sensitivity", "balanced_accuracy", "f1", "mcc", "lr_positive", "lr_negative"):
        assert math.isnan(without_positives[name].value)


def test_no_rows_leave_everything_undefined():
    figures = operating_point(np.array([], dtype=int), np.array([]), 0.5, **SETTINGS | {"prevalence": 0.1})
    assert all(math.isnan(estimate.value) and estimate.n == 0 for estimate in figures.values())


def test_nobody_called_positive_leaves_ppv_undefined():
    figures = operating_point(LABELS, SCORES, 2.0, **SETTINGS)
    for name in ("ppv", "lr_positive"):
        assert math.isnan(figures[name].value)
    assert (figures["npv"].value, figures["f1"].value, figures["mcc"].value) == (0.5, 0.0, 0.0)


def test_perfect_separation_leaves_no_interval_without_width():
    figures = operating_point(LABELS, LABELS.astype(float), 0.5, **SETTINGS | {"prevalence": 0.3})
    for name in (*SHARES, "mcc", "ppv_at_prevalence", "npv_at_prevalence"):
        assert figures[name].value == figures[name].ci_high == 1
        assert 0 < figures[name].ci_low < 0.9
    assert figures["lr_negative"].value == figures["lr_negative"].ci_low == 0 < figures["lr_negative"].ci_high
    assert all(math.isfinite(figures["lr_positive"].as_json()[key]) for key in ("value", "ci_low", "ci_high"))


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.2, 0.5, 0.62, 0.9, 1.0])
def test_no_interval_leaves_the_range_of_its_figure(threshold):
    figures = operating_point(LABELS, SCORES, threshold, **SETTINGS | {"prevalence": 0.01, "level": 0.999})
    for name, estimate in figures.items():
        lowest, highest = {"mcc": (-1, 1), "lr_positive": (0, math.inf), "lr_negative": (0, math.inf)}.get(name, (0, 1))
        if not math.isnan(estimate.value):
            assert lowest <= estimate.ci_low <= estimate.value <= estimate.ci_high <= highest
            assert estimate.ci_low < estimate.ci_high


def test_several_images_do_not_narrow_the_intervals():
    patients = np.repeat(np.arange(10), 4)
    once = operating_point(LABELS, SCORES, 0.5, **SETTINGS)
    often = operating_point(np.repeat(LABELS, 4), np.repeat(SCORES, 4), 0.5, patients=patients, **SETTINGS)
    for name, estimate in once.items():
        assert often[name].n == estimate.n
        for side in ("value", "ci_low", "ci_high"):
            assert getattr(often[name], side) == pytest.approx(getattr(estimate, side))


def test_the_same_seed_gives_the_same_interval():
    one, other = (operating_point(LABELS, SCORES, 0.5, **SETTINGS | {"seed": seed})["f1"] for seed in (0, 0))
    assert one == other
