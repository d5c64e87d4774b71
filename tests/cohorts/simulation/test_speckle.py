import numpy as np
import pytest
from scipy.special import digamma

from fusion.cohorts.simulation.speckle import darkening_db


def test_dense_speckle_agrees_with_the_k_distribution() -> None:
    # E[ln I] of the K distribution of shape alpha = 2 N: ln <I> + digamma(alpha) - ln(alpha) - gamma.
    counts = np.array([4.0, 8.0, 16.0, 64.0], np.float32)
    k_distribution = 10 / np.log(10) * (np.log(2 * counts) - digamma(2 * counts))
    assert darkening_db(counts) == pytest.approx(k_distribution, abs=0.05)


@pytest.mark.parametrize("count", [0.8, 2.0])
def test_sparse_speckle_agrees_with_scatterers_drawn_one_by_one(count: float) -> None:
    rng = np.random.default_rng(0)
    # A Gaussian h of standard deviation 1 in both directions has the cell 2 pi; 8 deviations hold all of it.
    side = 16.0
    number = rng.poisson(count * side**2 / (2 * np.pi), 60_000)
    draw = np.repeat(np.arange(len(number)), number)
    places = rng.uniform(-side / 2, side / 2, (2, len(draw)))
    answers = np.exp(-(places**2).sum(0) / 2 + 2j * np.pi * rng.random(len(draw)))
    phasor = np.bincount(draw, answers.real, len(number)) + 1j * np.bincount(draw, answers.imag, len(number))
    level_db = 10 * np.log10(np.abs(phasor) ** 2 / (count / 2))
    fully_developed_db = -10 * np.euler_gamma / np.log(10)
    assert darkening_db(np.float32([count])) == pytest.approx(fully_developed_db - level_db.mean(), abs=0.15)
