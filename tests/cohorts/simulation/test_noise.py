import numpy as np
import pytest

from fusion.cohorts.simulation.noise import smooth_noise


@pytest.mark.parametrize("sigma_px", [(0.0, 0.0), (1.0, 4.0), (3.0, 24.0), (30.0, 7.0)])
def test_a_field_has_its_shape_mean_and_spread(sigma_px: tuple[float, float]) -> None:
    field = smooth_noise((95, 131), sigma_px, np.random.default_rng(0))
    assert field.shape == (95, 131)
    assert field.mean() == pytest.approx(0, abs=1e-5)
    assert field.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("sigma", [2.0, 6.0, 12.0])
def test_its_correlation_is_that_of_the_filter(sigma: float) -> None:
    # Noise after a Gaussian filter correlates by exp(-lag^2 / (4 sigma^2)): 1/e at a lag of twice sigma.
    field = smooth_noise((64, 4096), (0.0, sigma), np.random.default_rng(1))
    lag = int(2 * sigma)
    assert (field[:, :-lag] * field[:, lag:]).mean() == pytest.approx(np.exp(-1), abs=0.06)
