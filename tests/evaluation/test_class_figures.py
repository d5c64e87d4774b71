import math

import numpy as np
import pytest

from fusion.evaluation.class_figures import class_figures

NAMES = ("a", "b", "c")
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
CALLED = np.array([0, 0, 1, 2, 1, 1, 0, 2, 2, 2])
PROBABILITIES = np.eye(3)[CALLED] * 0.7 + 0.1
SETTINGS = {"level": 0.95, "n_bootstrap": 400, "seed": 0}


def test_figures_of_ten_patients():
    figures = class_figures(LABELS, PROBABILITIES, NAMES, **SETTINGS)
    # By hand; balanced_accuracy, f1 and mcc are scikit-learn 1.9's (see test_confusion_table).
    assert {name: (estimate.value, estimate.n) for name, estimate in figures.items()} == {
        "accuracy": (0.7, 10),
        "balanced_accuracy": (pytest.approx(0.7222222222222222), 10),
        "f1": (pytest.approx(0.6984126984126985), 10),
        "mcc": (pytest.approx(0.5606060606060606), 10),
        "sensitivity_a": (pytest.approx(2 / 4), 4),
        "specificity_a": (pytest.approx(5 / 6), 6),
        "ppv_a": (pytest.approx(2 / 3), 3),
        "npv_a": (pytest.approx(5 / 7), 7),
        "sensitivity_b": (pytest.approx(2 / 3), 3),
        "specificity_b": (pytest.approx(6 / 7), 7),
        "ppv_b": (pytest.approx(2 / 3), 3),
        "npv_b": (pytest.approx(6 / 7), 7),
        "sensitivity_c": (1, 3),
        "specificity_c": (pytest.approx(6 / 7), 7),
        "ppv_c": (pytest.approx(3 / 4), 4),
        "npv_c": (1, 6),
    }
    for estimate in figures.values():
        assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
        assert estimate.ci_low < estimate.ci_high


def test_equal_probabilities_call_the_first_label():
    even = np.full((3, 3), 1 / 3)
    figures = class_figures(np.array([0, 1, 2]), even, NAMES, **SETTINGS)
    assert figures["sensitivity_a"].value == 1
    assert figures["sensitivity_c"].value == 0
    assert math.isnan(figures["ppv_c"].value)
    assert figures["mcc"].value == 0


def test_a_missing_label_leaves_its_figures_undefined():
    rows = LABELS != 2
    figures = class_figures(LABELS[rows], PROBABILITIES[rows], NAMES, **SETTINGS)
    assert math.isnan(figures["sensitivity_c"].value)
    assert math.isnan(figures["balanced_accuracy"].value)
    assert figures["accuracy"].value == pytest.approx(4 / 7)


def test_certain_and_right_everywhere():
    figures = class_figures(LABELS, np.eye(3)[LABELS], NAMES, **SETTINGS)
    for estimate in figures.values():
        assert estimate.value == estimate.ci_high == pytest.approx(1)
        assert estimate.ci_low < 0.9


def test_several_images_do_not_narrow_the_intervals():
    patients = [f"p{i // 3}" for i in range(30)]
    once = class_figures(LABELS, PROBABILITIES, NAMES, **SETTINGS)
    often = class_figures(
        np.repeat(LABELS, 3), np.repeat(PROBABILITIES, 3, axis=0), NAMES, patients=patients, **SETTINGS
    )
    for name, estimate in once.items():
        assert (often[name].ci_low, often[name].ci_high, often[name].n) == (
            pytest.approx(estimate.ci_low),
            pytest.approx(estimate.ci_high),
            estimate.n,
        )
