import numpy as np
import pytest

from fusion.cohorts.simulation.outcome import intercept_for, logit_of, probability_of, separation
from fusion.cohorts.simulation.settings import Weights

WEIGHTS = Weights(texture=1.5, shape=-1.0, clinical=2.0)


def test_the_logit_is_the_weighted_sum() -> None:
    assert logit_of(WEIGHTS, intercept=0.5, texture=1.0, shape=2.0, clinical=-1.0) == pytest.approx(-2.0)
    assert probability_of(-2.0) == pytest.approx(0.1192029)


@pytest.mark.parametrize("prevalence", [0.05, 0.3, 0.5, 0.8])
def test_the_intercept_gives_the_prevalence(prevalence: float) -> None:
    factors = np.random.default_rng(0).standard_normal((400_000, 3)) @ [1.5, -1.0, 2.0]
    logits = intercept_for(prevalence, WEIGHTS) + factors
    assert (1 / (1 + np.exp(-logits))).mean() == pytest.approx(prevalence, abs=0.003)


def test_without_weights_the_intercept_is_the_prevalence_s_logit() -> None:
    none = Weights(texture=0.0, shape=0.0, clinical=0.0)
    assert intercept_for(0.2, none) == pytest.approx(np.log(0.2 / 0.8))


def test_separation_is_the_area_under_the_curve() -> None:
    # Pairs (positive, negative): 3>1, 3>2, 2>1 are right, 2=2 counts half.
    assert separation([3.0, 2.0, 1.0, 2.0], [True, True, False, False]) == pytest.approx(3.5 / 4)
    assert separation([1.0, 2.0], [True, True]) is None
