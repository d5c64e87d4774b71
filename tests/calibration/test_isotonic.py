import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from fusion.calibration import fit_calibrator


def both(p):
    return np.stack([1 - p, p], axis=1)


def test_equals_sklearn():
    rng = np.random.default_rng(0)
    p = rng.random(3000).round(3)
    labels = (rng.random(3000) < p**2).astype(np.int64)
    weights = rng.choice([1, 0.5], size=3000)
    outside = IsotonicRegression(out_of_bounds="clip").fit(p, labels, weights)
    calibrated = fit_calibrator("isotonic", labels, both(p), weights).apply(both(np.linspace(0, 1, 1001)))
    assert calibrated[:, 1] == pytest.approx(outside.predict(np.linspace(0, 1, 1001)), abs=1e-12)


def test_by_hand():
    # The middle two are pooled; 0.25 lies midway between the first and the pooled.
    calibrator = fit_calibrator("isotonic", np.array([0, 1, 0, 1]), both(np.array([0.2, 0.3, 0.5, 0.8])), np.ones(4))
    calibrated = calibrator.apply(both(np.array([0.0, 0.25, 0.3, 0.4, 0.5, 0.9])))[:, 1]
    assert calibrated == pytest.approx([0, 0.25, 0.5, 0.5, 0.5, 1])


def test_a_row_that_no_label_fits_becomes_uniform():
    labels = np.array([0, 0, 1, 1, 2, 2])
    probabilities = np.array(
        [[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.7, 0.2], [0.1, 0.1, 0.8], [0.2, 0.1, 0.7]]
    )
    calibrator = fit_calibrator("isotonic", labels, probabilities, np.ones(6))
    assert calibrator.apply(np.array([[0.2, 0.2, 0.2], [0.8, 0.1, 0.1]])) == pytest.approx(
        np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, 0]])
    )
