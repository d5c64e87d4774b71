import math

import numpy as np
import pytest

from fusion.evaluation.widened import widened_interval


def test_percentiles_widened_to_hold_the_value():
    replicates = np.append(np.linspace(0.1, 0.2, 101), math.nan)
    assert widened_interval(0.15, replicates, level=0.9) == pytest.approx((0.105, 0.195))
    assert widened_interval(0.02, replicates, level=0.9) == pytest.approx((0.02, 0.195))
    assert widened_interval(0.5, replicates, level=0.9) == pytest.approx((0.105, 0.5))


@pytest.mark.parametrize("replicates", [np.full(5, 0.3), np.full(5, math.nan), np.array([0.3, math.nan])])
def test_no_interval_of_width_zero(replicates):
    assert all(math.isnan(limit) for limit in widened_interval(0.3, replicates, level=0.95))
