from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusion.cohorts.simulation.outcome import logit_of, probability_of
from fusion.cohorts.simulation.patient import simulate_patient
from fusion.cohorts.simulation.settings import Simulation, read_settings

PHANTOM = Path(__file__).parents[3] / "conf/cohort/phantom.yaml"


@pytest.fixture(scope="module")
def settings() -> Simulation:
    simulation = yaml.safe_load(PHANTOM.read_text())["simulation"]
    return read_settings(
        simulation | {"frame": {"depth_px": 96, "width_px": 128, "pixel_mm": 0.36, "rf_per_pixel": 12}}
    )


def test_a_patient_is_the_same_however_many_others_there_are(settings: Simulation) -> None:
    patient, scan = simulate_patient(settings, 4, "north", 0.5)
    again, scan_again = simulate_patient(replace(settings, n_patients=7), 4, "north", 0.5)
    assert patient == again
    np.testing.assert_array_equal(scan.image, scan_again.image)
    np.testing.assert_array_equal(scan.mask, scan_again.mask)
    other, _ = simulate_patient(settings, 5, "north", 0.5)
    assert patient.texture != other.texture


def test_picture_and_mask_fit_the_frame(settings: Simulation) -> None:
    _, scan = simulate_patient(settings, 0, "north", 0.0)
    assert scan.image.shape == scan.mask.shape == (96, 128)
    assert set(np.unique(scan.mask).tolist()) == {0, 255}


def test_the_outcome_follows_from_factors_and_intercept(settings: Simulation) -> None:
    low, scan_low = simulate_patient(settings, 1, "north", -50.0)
    high, scan_high = simulate_patient(settings, 1, "north", 50.0)
    assert (low.label, high.label) == settings.labels
    assert low.logit == pytest.approx(
        logit_of(settings.weights, intercept=-50.0, texture=low.texture, shape=low.shape, clinical=low.clinical)
    )
    assert low.probability == probability_of(low.logit)
    # The intercept moves the outcome and nothing else.
    assert low.row == high.row
    np.testing.assert_array_equal(scan_low.image, scan_high.image)
