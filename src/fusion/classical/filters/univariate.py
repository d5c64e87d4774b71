"""Columns whose values differ between the labels, each tested alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusion.classical.filters.variance import varying

Test = Literal["mann_whitney", "t_test"]
Correction = Literal["none", "holm", "fdr_bh"]


def that_differ(
    values: NDArray[np.float64], labels: NDArray[np.float64], *, test: Test, max_p: float, correction: Correction
) -> NDArray[np.intp]:
    """Columns (ascending) whose two-sided p value, corrected, is below ``max_p``.

    Args:
        values: (P, F).
        labels: (P,) 0 or 1.
        test: See `p_values`.
        max_p: In (0, 1].
        correction: For all F columns together, constant ones included: ``holm`` bounds the chance of a single false
            one (Scand J Stat 1979;6:65-70), ``fdr_bh`` the share of false ones (J R Stat Soc B 1995;57:289-300),
            ``none`` neither.
    """
    p = p_values(values, labels, test=test)
    if correction != "none":
        from statsmodels.stats.multitest import multipletests

        p = multipletests(p, method=correction)[1]
    return np.flatnonzero(p < max_p)


def p_values(values: NDArray[np.float64], labels: NDArray[np.float64], *, test: Test) -> NDArray[np.float64]:
    """Two-sided p values of the columns, 1 for a constant one: (P, F) → (F,).

    ``mann_whitney`` is the U test by its normal approximation, with correction for ties and continuity (R's
    ``wilcox.test(exact = FALSE)``), also where few patients would allow the exact one: so a column's p value does not
    depend on whether it has ties. ``t_test`` is Welch's (Biometrika 1947;34:28-35), which lets the labels differ in
    variance.
    """
    p = np.ones(values.shape[1])
    columns = varying(values)
    if columns.any():
        negative, positive = values[labels == 0][:, columns], values[labels == 1][:, columns]
        p[columns] = (_mann_whitney if test == "mann_whitney" else _welch)(negative, positive)
    return p


def _mann_whitney(negative: NDArray[np.float64], positive: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import mannwhitneyu

    result = mannwhitneyu(positive, negative, alternative="two-sided", method="asymptotic", use_continuity=True, axis=0)
    p: NDArray[np.float64] = result.pvalue
    return p


def _welch(negative: NDArray[np.float64], positive: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import ttest_ind_from_stats

    moments = [
        moment
        for part in (positive, negative)
        for moment in (part.mean(axis=0), part.std(axis=0, ddof=1), np.full(part.shape[1], len(part)))
    ]
    # From moments, since `ttest_ind` warns of a column that is constant within a label. Where it is so within both, t
    # is infinite and p 0.
    p: NDArray[np.float64] = ttest_ind_from_stats(*moments, equal_var=False).pvalue
    return p
