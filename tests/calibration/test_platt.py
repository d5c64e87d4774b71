import logging

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from fusion.calibration import fit_calibrator
from fusion.calibration.platt import Platt


def both(p):
    return np.stack([1 - p, p], axis=1)


def fit(labels, p, weights=None) -> Platt:
    calibrator = fit_calibrator("platt", labels, both(p), np.ones(len(p)) if weights is None else weights)
    assert isinstance(calibrator, Platt)
    return calibrator


@pytest.mark.filterwarnings("ignore:Since FrozenEstimator does not appear to accept sample_weight")
@pytest.mark.parametrize("n", [10, 70, 5000])
def test_equals_sklearn(n):
    rng = np.random.default_rng(n)
    logits = rng.normal(size=n)
    labels = (rng.random(n) < expit(0.4 + 0.6 * logits)).astype(np.int64)
    weights = rng.choice([1, 0.5], size=n)
    as_it_is = LogisticRegression()
    as_it_is.classes_, as_it_is.coef_, as_it_is.intercept_ = np.array([0, 1]), np.ones((1, 1)), np.zeros(1)
    outside = CalibratedClassifierCV(FrozenEstimator(as_it_is), method="sigmoid", cv=2).fit(
        logits[:, None], labels, weights
    )
    calibrated = fit(labels, expit(logits), weights).apply(both(expit(logits)))
    assert calibrated == pytest.approx(outside.predict_proba(logits[:, None]), abs=1e-5)


def test_equals_r():
    # y <- c(0,0,1,0,0,1,1,0,1,1); x <- qlogis(c(.05,.1,.2,.3,.45,.5,.6,.7,.85,.95))
    # coef(suppressWarnings(glm(ifelse(y == 1, 6/7, 1/7) ~ x, family = binomial)))
    p = np.array([0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.6, 0.7, 0.85, 0.95])
    calibrator = fit(np.array([0, 0, 1, 0, 0, 1, 1, 0, 1, 1]), p)
    assert (*calibrator.intercepts, *calibrator.slopes) == pytest.approx((0.0900325707802, 0.5158429818524), abs=1e-6)


def test_calibrated_probabilities_by_hand():
    calibrator = Platt(intercepts=(0.5,), slopes=(2.0,))
    assert calibrator.apply(both(np.array([0.7])))[0, 1] == pytest.approx(expit(0.5 + 2 * logit(0.7)))


def test_separated_labels_give_a_finite_slope_that_grows_with_patients():
    few = fit(np.repeat([0, 1], 5), np.linspace(0.1, 0.9, 10)).slopes[0]
    many = fit(np.repeat([0, 1], 50), np.linspace(0.1, 0.9, 100)).slopes[0]
    assert 0 < few < many < 20


def test_a_model_that_is_wrong_gives_about_the_prevalence_in_its_own_order(caplog):
    labels = np.array([1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0])
    p = np.linspace(0.05, 0.95, 12)
    with caplog.at_level(logging.WARNING):
        calibrator = fit(labels, p)
    assert "held at 0.01" in caplog.text
    assert calibrator.slopes == (0.01,)
    calibrated = calibrator.apply(both(p))[:, 1]
    # Platt's targets: (5 * 6/7 + 7 * 1/9) / 12
    assert calibrated.mean() == pytest.approx((5 * 6 / 7 + 7 / 9) / 12, abs=1e-6)
    assert np.ptp(calibrated) < 0.02
    assert np.all(np.diff(calibrated) > 0)


def test_equal_probabilities_move_to_the_prevalence():
    calibrator = fit(np.repeat([0, 1], [80, 20]), np.full(100, 0.6))
    assert calibrator.slopes == (1.0,)
    assert calibrator.apply(both(np.full(1, 0.6)))[0, 1] == pytest.approx((20 * 21 / 22 + 80 / 82) / 100, abs=1e-6)
