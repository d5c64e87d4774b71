"""Columns that vary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-10


def varying(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each of the columns has more than one value, as far as rounding can tell: (P, F) → (F,)."""
    above_rounding: NDArray[np.bool_] = np.ptp(values, axis=0) > _ROUNDING * np.abs(values).max(axis=0)
    return above_rounding


def of_variance(values: NDArray[np.float64], *, min_variance: float) -> NDArray[np.intp]:
    """Columns (ascending) whose variance, divided by P and not P - 1, is above ``min_variance``; 0 drops constants.

    Args:
        values: (P, F).
        min_variance: In squares of the columns' unit, from 0.
    """
    return np.flatnonzero(varying(values) & (values.var(axis=0) > min_variance))
