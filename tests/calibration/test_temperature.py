import numpy as np
import pytest
from scipy.special import softmax

from fusion.calibration import fit_calibrator
from fusion.calibration.temperature import Temperature


def both(p):
    return np.stack([1 - p, p], axis=1)


def fit(labels, probabilities):
    return fit_calibrator("temperature", labels, probabilities, np.ones(len(labels)))


def test_by_hand():
    # odds 9 → 3 at temperature 2
    assert Temperature(2.0).apply(both(np.array([0.9])))[0, 1] == pytest.approx(0.75)


def test_with_two_labels_its_inverse_is_the_slope_of_glm():
    # y <- c(0,0,1,0,0,1,1,0,1,1); x <- qlogis(c(.05,.1,.2,.3,.45,.5,.6,.7,.85,.95))
    # 1 / coef(glm(y ~ 0 + x, family = binomial))
    p = np.array([0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.6, 0.7, 0.85, 0.95])
    calibrator = fit(np.array([0, 0, 1, 0, 0, 1, 1, 0, 1, 1]), both(p))
    assert calibrator.temperature == pytest.approx(1.19062746677, abs=1e-6)


def test_finds_the_temperature_of_three_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3))
    labels = np.array([rng.choice(3, p=softmax(row)) for row in logits])
    assert fit(labels, softmax(3 * logits, axis=1)).temperature == pytest.approx(3, abs=0.2)


def test_top_label_and_ranks_within_a_row_are_kept():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    calibrated = Temperature(3.0).apply(probabilities)
    assert np.array_equal(np.argsort(calibrated, axis=1), np.argsort(probabilities, axis=1))


@pytest.mark.parametrize(("labels", "bound"), [(np.repeat([0, 1], 5), 0.1), (np.repeat([1, 0], 5), 10)])
def test_stays_within_its_bounds(labels, bound):
    assert fit(labels, both(np.linspace(0.1, 0.9, 10))).temperature == pytest.approx(bound, rel=1e-3)
