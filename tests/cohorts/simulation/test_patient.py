from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusion.cohorts.simulation.outcome import logit_of, probability_of
from fusion.cohorts.simulation.patient import Patient, simulate_patient
from fusion.cohorts.simulation.settings import Simulation, Weights, read_settings

PHANTOM = Path(__file__).parents[3] / "conf/cohort/phantom.yaml"


@pytest.fixture(scope="module")
def settings() -> Simulation:
    simulation = yaml.safe_load(PHANTOM.read_text())["simulation"]
    return read_settings(
        simulation | {"frame": {"depth_px": 96, "width_px": 128, "pixel_mm": 0.36, "rf_per_pixel": 12}}
    )


def test_a_patient_is_the_same_however_many_others_there_are(settings: Simulation) -> None:
    patient, scan = simulate_patient(settings, 4, "north", 0.5, label=None)
    again, scan_again = simulate_patient(replace(settings, n_patients=7), 4, "north", 0.5, label=None)
    assert patient == again
    np.testing.assert_array_equal(scan.image, scan_again.image)
    np.testing.assert_array_equal(scan.mask, scan_again.mask)
    other, _ = simulate_patient(settings, 5, "north", 0.5, label=None)
    assert patient.texture != other.texture


def test_picture_and_mask_fit_the_frame(settings: Simulation) -> None:
    _, scan = simulate_patient(settings, 0, "north", 0.0, label=None)
    assert scan.image.shape == scan.mask.shape == (96, 128)
    assert set(np.unique(scan.mask).tolist()) == {0, 255}


def test_the_outcome_follows_from_factors_and_intercept(settings: Simulation) -> None:
    low, scan_low = simulate_patient(settings, 1, "north", -50.0, label=None)
    high, scan_high = simulate_patient(settings, 1, "north", 50.0, label=None)
    assert (low.label, high.label) == settings.labels
    assert low.logit == pytest.approx(
        logit_of(settings.weights, intercept=-50.0, texture=low.texture, shape=low.shape, clinical=low.clinical)
    )
    assert low.probability == probability_of(low.logit)
    # The intercept moves the outcome and nothing else.
    assert low.row == high.row
    np.testing.assert_array_equal(scan_low.image, scan_high.image)


def test_who_must_have_an_outcome_is_the_first_of_the_center_s_who_has_it(settings: Simulation) -> None:
    first, scan = simulate_patient(settings, 3, "north", 0.0, label=None)
    same, scan_same = simulate_patient(settings, 3, "north", 0.0, label=first.label)
    assert same == first
    np.testing.assert_array_equal(scan.image, scan_same.image)
    (wanted,) = set(settings.labels) - {first.label}
    other, _ = simulate_patient(settings, 3, "north", 0.0, label=wanted)
    assert (other.label, other.texture != first.texture) == (wanted, True)


def test_factors_of_patients_who_must_have_an_outcome_are_those_of_all_who_have_it(
    settings: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusion.cohorts.simulation.patient._scan", lambda *_: (None, 10.0))
    settings = replace(settings, weights=Weights(texture=2.0, shape=-1.0, clinical=0.5))

    def factors(patients: list[Patient]) -> np.ndarray:
        return np.array([[patient.texture, patient.shape, patient.clinical] for patient in patients])

    # With u = (2 texture - shape + 0.5 clinical) / sqrt(5.25), of positive patients at an intercept of -1; R 4.5:
    # p <- function(u) plogis(-1 + sqrt(5.25) * u) * dnorm(u)
    # for (k in 1:2) print(integrate(function(u) u^k * p(u), -9, 9)$value / integrate(p, -9, 9)$value)
    mean, mean_square = 0.8224096, 1.23536
    direction = np.array([2.0, -1.0, 0.5]) / np.sqrt(5.25)
    given = factors([simulate_patient(settings, i, "north", -1.0, label=settings.labels[1])[0] for i in range(700)])
    np.testing.assert_allclose(given.mean(0), mean * direction, atol=0.09)
    assert ((given @ direction) ** 2).mean() == pytest.approx(mean_square, abs=0.13)
