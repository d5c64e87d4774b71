"""Several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values so that all of a family together hold the level (Holm, Scand J Stat 1979;6:65-70).

    The smallest of m is multiplied by m, the next by m - 1, and so on, none falling below one before it. Written here
    since statsmodels' ``multipletests`` collects all garbage of the process at each call.

    Args:
        p_values: Of the family; NaN for a test that is not defined, which stays so and is not counted.

    Returns:
        The adjusted ones, in the same order and none above 1.
    """
    p = np.array(p_values, dtype=np.float64)
    # NaN is sorted to the end.
    order = np.argsort(p)[: np.sum(~np.isnan(p))]
    p[order] = np.minimum(np.maximum.accumulate(np.arange(len(order), 0, -1) * p[order]), 1)
    return [float(adjusted) for adjusted in p]
