import math

import numpy as np
import pytest

from fusion.comparison.reclassification import reclassification

LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
OLD = np.array([0.1, 0.3, 0.2, 0.6, 0.5, 0.4, 0.7, 0.5, 0.9, 0.2])
NEW = np.array([0.2, 0.2, 0.2, 0.5, 0.7, 0.6, 0.7, 0.6, 0.8, 0.4])
SETTINGS = {"level": 0.95, "n_bootstrap": 500, "seed": 0}


def calls(threshold: float) -> dict[str, np.ndarray]:
    return {"first_called": threshold <= NEW, "second_called": threshold <= OLD}


def test_figures_are_those_of_r() -> None:
    figures = reclassification(LABELS, NEW, OLD, **calls(0.5), **SETTINGS)
    # R: Hmisc::improveProb(old, new, y)[c("nri", "nri.ev", "nri.ne", "idi")]
    assert figures["nri"].value == pytest.approx(0.4)
    assert figures["nri_positive"].value == pytest.approx(0.4)
    assert figures["nri_negative"].value == pytest.approx(0.0)
    assert figures["idi"].value == pytest.approx(0.06)
    # R: up <- new >= .5 & old < .5; down <- new < .5 & old >= .5
    # c(mean(up[y == 1]) - mean(down[y == 1]), mean(down[y == 0]) - mean(up[y == 0]))
    assert figures["nri_at_threshold"].value == pytest.approx(0.2)
    assert figures["nri_at_threshold_negative"].value == 0.0
    assert (figures["nri"].n, figures["nri_positive"].n) == (10, 5)


def test_intervals_hold_the_value_and_stay_in_range() -> None:
    figures = reclassification(LABELS, NEW, OLD, **calls(0.5), **SETTINGS)
    for name in ("nri", "idi"):
        assert -2 <= figures[name].ci_low <= figures[name].value <= figures[name].ci_high <= 2


def test_the_other_way_round_is_the_negative() -> None:
    there = reclassification(LABELS, NEW, OLD, **calls(0.5), **SETTINGS)
    swapped = {"first_called": OLD >= 0.5, "second_called": NEW >= 0.5}
    back = reclassification(LABELS, OLD, NEW, **swapped, **SETTINGS)
    for name, figure in there.items():
        assert back[name].value == pytest.approx(-figure.value)


def test_a_missing_label_defines_nothing_of_both() -> None:
    figures = reclassification(np.zeros(10, dtype=int), NEW, OLD, **calls(0.5), **SETTINGS)
    assert math.isnan(figures["nri"].value)
    assert math.isnan(figures["nri_positive"].value)
    assert not math.isnan(figures["nri_negative"].value)


def test_copies_of_rows_prove_nothing() -> None:
    patients = np.tile(np.arange(10), 3)
    tripled = {name: np.tile(called, 3) for name, called in calls(0.5).items()}
    one = reclassification(LABELS, NEW, OLD, **calls(0.5), **SETTINGS)["idi"]
    three = reclassification(
        np.tile(LABELS, 3), np.tile(NEW, 3), np.tile(OLD, 3), **tripled, **SETTINGS, patients=patients
    )["idi"]
    assert (three.value, three.ci_low, three.n) == pytest.approx((one.value, one.ci_low, 10))
