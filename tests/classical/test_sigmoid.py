import numpy as np
import pytest
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration

from fusion.classical.sigmoid import Sigmoid


def decisions(scale):
    rng = np.random.default_rng(0)
    values = rng.normal(size=80)
    return values * scale, (rng.random(80) < expit(2 * values - 0.5)).astype(np.int64)


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_equals_sklearn_on_any_scale(scale):
    values, y = decisions(1)
    outside = _SigmoidCalibration().fit(values, y).predict(values)
    scaled, _ = decisions(scale)
    ours = Sigmoid.fit(scaled, y, weights=np.ones(80), patients=np.arange(80))
    assert ours.probabilities(scaled) == pytest.approx(outside, abs=1e-4)
    again = Sigmoid.from_state(ours.state())
    np.testing.assert_array_equal(again.probabilities(scaled), ours.probabilities(scaled))


def test_patients_are_counted_not_images():
    values, y = decisions(1)
    patients = np.repeat(np.arange(80), 3)
    one = Sigmoid.fit(values, y, weights=np.ones(80), patients=np.arange(80))
    three = Sigmoid.fit(values[patients], y[patients], weights=np.ones(240), patients=patients)
    assert three.probabilities(values) == pytest.approx(one.probabilities(values), abs=1e-6)


def test_equal_decision_values_give_about_the_prevalence():
    y = np.repeat([0, 0, 0, 1], 10)
    sigmoid = Sigmoid.fit(np.zeros(40), y, weights=np.ones(40), patients=np.arange(40))
    assert sigmoid.probabilities(np.zeros(1)) == pytest.approx([0.25], abs=0.03)
