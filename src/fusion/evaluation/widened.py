"""Interval of figures that resampling shifts upwards."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import percentile_interval

_ROUNDING = 1e-9


def widened_interval(value: float, replicates: NDArray[np.float64], *, level: float) -> tuple[float, float]:
    """Percentile interval of (B,) replicates, widened to hold the value.

    For mean distances (ECE, ICI): a replicate's noise adds to the sample's own, so that of a well calibrated model all
    replicates may lie above the value. NaN where all replicates are the same: an interval of width 0 would be a lie.
    """
    defined = replicates[~np.isnan(replicates)]
    if not len(defined) or np.ptp(defined) < _ROUNDING:
        return math.nan, math.nan
    low, high = percentile_interval(defined, level=level)
    return min(low, value), max(high, value)
