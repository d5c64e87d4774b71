"""Columns that do not repeat each other."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusion.classical.filters.univariate import p_values
from fusion.classical.filters.variance import varying
from fusion.tabular.redundancy import keep_apart

Correlation = Literal["spearman", "pearson"]
Order = Literal["table", "p_value"]


def not_redundant(
    values: NDArray[np.float64],
    labels: NDArray[np.float64],
    *,
    correlation: Correlation,
    max_correlation: float,
    order: Order,
) -> NDArray[np.intp]:
    """Columns (ascending) of which no two correlate by more than ``max_correlation``, chosen greedily.

    One column after the other, in the given order, stays unless one that stays already is too close to it. A constant
    column correlates with none, and stays.

    Args:
        values: (P, F).
        labels: (P,) 0 or 1; ``order="p_value"`` alone looks at them.
        correlation: Which coefficient; its absolute value counts.
        max_correlation: In (0, 1].
        order: ``table`` is from the left, as the radiomics preprocessing of the network does it (`RadiomicsScaler`);
            ``p_value`` is from the smallest p value of the Mann-Whitney test (`p_values`) on, equal ones from the left.
    """
    close = _too_close(values, correlation, max_correlation)
    if order == "table":
        return keep_apart(close, range(values.shape[1]))
    return keep_apart(close, np.argsort(p_values(values, labels, test="mann_whitney"), kind="stable").tolist())


def _too_close(values: NDArray[np.float64], correlation: Correlation, max_correlation: float) -> NDArray[np.bool_]:
    """(F, F) whether two columns correlate by more than the bound."""
    from scipy.stats import rankdata

    columns = np.flatnonzero(varying(values))
    close = np.zeros((values.shape[1],) * 2, dtype=np.bool_)
    if len(columns) > 1:
        compared = rankdata(values[:, columns], axis=0) if correlation == "spearman" else values[:, columns]
        close[np.ix_(columns, columns)] = np.abs(np.corrcoef(compared, rowvar=False)) > max_correlation
    return close
