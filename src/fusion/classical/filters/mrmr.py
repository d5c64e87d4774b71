"""Minimum redundancy, maximum relevance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.classical.filters.variance import varying


def of_mrmr(
    values: NDArray[np.float64], labels: NDArray[np.float64], *, n_features: int, seed: int
) -> NDArray[np.intp]:
    """The ``n_features`` columns (ascending; all where there are fewer) that mRMR chooses, in its quotient form FCQ.

    The first is the one of the largest F statistic between the labels; each next one has the largest F divided by its
    mean absolute Pearson correlation with those chosen (Ding and Peng, J Bioinform Comput Biol 2005;3:185-205;
    feature_engine's ``MRMR``). Columns without any difference between the labels, constant ones among them, come
    last, in their order. With one column chosen the mean is of a single correlation: the second choice is often a
    column that merely happens to correlate with the first by almost 0.

    Args:
        values: (P, F).
        labels: (P,) 0 or 1, at least two of each.
        n_features: From 1.
        seed: Goes to ``MRMR``; FCQ draws nothing, and the choice does not depend on it.
    """
    relevance = _f_statistics(values, labels)
    relevant = np.flatnonzero(relevance > 0)
    # MRMR chooses at least two, cannot choose more than it is given, and takes a column of 0 / 0 for the best.
    if n_features == 1 or n_features >= len(relevant):
        return np.sort(np.argsort(-relevance, kind="stable")[:n_features])
    import pandas as pd
    from feature_engine.selection import MRMR

    chooser = MRMR(method="FCQ", max_features=n_features, regression=False, random_state=seed)
    with np.errstate(divide="ignore"):
        chooser.fit(pd.DataFrame(values[:, relevant]), pd.Series(labels))
    # The frame names its columns by their position.
    return np.delete(relevant, np.array(chooser.features_to_drop_, dtype=np.intp))


def _f_statistics(values: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(F,) from 0; infinite where the labels alone explain the column, 0 for a constant one."""
    from sklearn.feature_selection import f_classif

    statistics = np.zeros(values.shape[1])
    columns = varying(values)
    if columns.any():
        with np.errstate(divide="ignore"):
            statistics[columns] = f_classif(values[:, columns], labels)[0]
    return statistics
