"""Bootstrap of patients, not of rows, within strata; BCa and percentile intervals.

BCa is the interval of every figure that has no closed form: average precision, partial AUC, macro AUC, Brier score and
the like; figures of a confusion table have their own (``confusion_table``). The percentile interval is for curves,
whose every point would otherwise need a correction of its own, and for figures that resampling shifts (ECE, ICI):
there BCa's correction for bias leaves the range of the replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]

_CHUNK_ELEMENTS = 250_000
# Above this many patients the jackknife leaves out blocks of them, so that it costs no more than the bootstrap.
_MOST_BLOCKS = 2_000
# Sums of the same numbers in another order differ by less than this, relative to their size.
_ROUNDING = 1e-12


def bootstrap_weights(strata: NDArray[np.int64], *, n_bootstrap: int, seed: int) -> Iterator[Floats]:
    """Draw patients with replacement within each stratum, so that no replicate loses a label.

    Args:
        strata: (P,) the stratum of each patient.
        n_bootstrap: Number of replicates, B.
        seed: The same seed draws the same patients.

    Yields:
        Chunks (b, P) of how often each patient was drawn; the chunks together hold B rows.
    """
    rng = np.random.default_rng(seed)
    n_patients = len(strata)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    chunk = max(1, _CHUNK_ELEMENTS // max(n_patients, 1))
    for start in range(0, n_bootstrap, chunk):
        n_rows = min(chunk, n_bootstrap - start)
        offsets = np.arange(n_rows)[:, None] * n_patients
        drawn = [offsets + group[rng.integers(len(group), size=(n_rows, len(group)))] for group in members]
        counts = np.bincount(np.concatenate(drawn, axis=1).ravel(), minlength=n_rows * n_patients)
        yield counts.reshape(n_rows, n_patients).astype(np.float64)


def bootstrap_totals(totals: Floats, strata: NDArray[np.int64], *, n_bootstrap: int, seed: int) -> Floats:
    """(P, C) sums by patient → (B, C) sums of each replicate."""
    weights = bootstrap_weights(strata, n_bootstrap=n_bootstrap, seed=seed)
    return np.concatenate([chunk @ totals for chunk in weights])


def percentile_interval(replicates: Floats, *, level: float) -> tuple[float, float]:
    """Percentile interval (Efron 1981) of (B,) replicates; those that define no figure (NaN) are left out."""
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca_interval(value: float, replicates: Floats, contributions: Floats, *, level: float) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron, J Am Stat Assoc 1987;82:171-185, eq. 2.3, 4.4, 6.6).

    z0 = Φ⁻¹(share of replicates below the value, those equal to it counted half), a = Σ c³ / (6 (Σ c²)^1.5) over the
    contributions c, and the limits are the replicates' quantiles at Φ(z0 + (z0 ± z) / (1 - a (z0 ± z))), as in R's
    ``boot::boot.ci(type = "bca")``. They are replicates, so they never leave the range of the statistic. Where the
    correction for bias would put the value outside its own interval, the interval is widened to hold it.

    What has no BCa interval:
        - The value is NaN, or no replicate defines a figure: NaN. Single replicates that are NaN are left out.
        - All replicates are the same, e.g. with labels perfectly separated: NaN. An interval of width 0 would be a
          lie; a caller who knows the statistic puts a score interval there.
        - All replicates on one side of the value (z0 infinite): the percentile interval, widened to hold the value.
        - No contribution differs from 0: a = 0, which leaves the correction for bias alone.

    Args:
        value: Of the statistic on all patients.
        replicates: (B,) of the bootstrap.
        contributions: (P,) from ``jackknife_contributions``; only their proportions matter.
        level: Of the interval, e.g. 0.95.
    """
    defined = replicates[~np.isnan(replicates)]
    if math.isnan(value) or not len(defined) or np.ptp(defined) <= _ROUNDING * max(1, abs(value)):
        return math.nan, math.nan
    equal = np.abs(defined - value) <= _ROUNDING * max(1, abs(value))
    below = float(np.mean((defined < value) & ~equal) + np.mean(equal) / 2)
    if 0 < below < 1:
        quantiles = _bca_quantiles(float(norm.ppf(below)), _acceleration(contributions), level=level)
        low, high = np.quantile(defined, quantiles, method="weibull")
    else:
        low, high = percentile_interval(defined, level=level)
    return min(float(low), value), max(float(high), value)


def bca_of_totals(
    totals: Floats,
    strata: NDArray[np.int64],
    statistic: Callable[[Floats], Floats],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> tuple[float, float]:
    """BCa interval of a statistic of sums over patients; the degenerate cases are those of ``bca_interval``.

    Args:
        totals: (P, C) sums by patient.
        strata: (P,) the stratum of each patient; all the same where the numbers by label vary too.
        statistic: (B, C) sums → (B,) values, NaN where they define none.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
    """
    total = totals.sum(0)
    replicates = statistic(bootstrap_totals(totals, strata, n_bootstrap=n_bootstrap, seed=seed))
    contributions = jackknife_contributions(statistic(total - totals), strata)
    return bca_interval(float(statistic(total[None])[0]), replicates, contributions, level=level)


def bca_of_weights(
    strata: NDArray[np.int64],
    statistic: Callable[[Floats], Floats],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> tuple[float, float]:
    """BCa interval of a statistic of weighted patients, for what is no function of sums (ranks, say).

    Args:
        strata: (P,) the stratum of each patient.
        statistic: (B, P) how often each patient counts → (B,) values, NaN where they define none.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap, and of the blocks that the jackknife leaves out of more than 2,000 patients.
    """
    drawn = bootstrap_weights(strata, n_bootstrap=n_bootstrap, seed=seed)
    replicates = np.concatenate([statistic(chunk) for chunk in drawn])
    blocks = _blocks(strata, seed=seed)
    left_out = np.concatenate([statistic(chunk) for chunk in _without_each_block(blocks)])
    stratum_of_block = np.zeros(len(left_out), dtype=np.int64)
    stratum_of_block[blocks] = strata
    value = float(statistic(np.ones((1, len(strata))))[0])
    return bca_interval(value, replicates, jackknife_contributions(left_out, stratum_of_block), level=level)


def jackknife_contributions(left_out: Floats, strata: NDArray[np.int64]) -> Floats:
    """What each patient adds to the statistic's error: (n - 1) / n (mean - value without the patient), by stratum.

    Where the value without a patient is NaN (the only one of a label) the contribution is 0: a bootstrap within
    strata always draws that patient too.

    Args:
        left_out: (P,) the statistic without each patient.
        strata: (P,) the stratum of each patient.

    Returns:
        (P,) contributions; the sum of their squares is the variance within strata, but for factors n / (n - 1).
    """
    contributions = np.zeros_like(left_out)
    for stratum in np.unique(strata):
        rows = (strata == stratum) & ~np.isnan(left_out)
        n = int(rows.sum())
        if n:
            contributions[rows] = (n - 1) / n * (left_out[rows].mean() - left_out[rows])
    return contributions


def _acceleration(contributions: Floats) -> float:
    # Divided by the largest first, so that neither power underflows.
    largest = float(np.abs(contributions).max(initial=0))
    if largest == 0:
        return 0.0
    scaled = contributions / largest
    return float(np.sum(scaled**3) / (6 * np.sum(scaled**2) ** 1.5))


def _bca_quantiles(z0: float, acceleration: float, *, level: float) -> Floats:
    z = z0 + norm.ppf([(1 - level) / 2, (1 + level) / 2])
    # Beyond the pole of the correction (|a| is at most 1/6, so only at levels near 1) lies the outermost replicate.
    slack = 1 - acceleration * z
    return np.asarray(norm.cdf(np.where(slack > 0, z0 + z / np.where(slack > 0, slack, 1), np.copysign(np.inf, z))))


def _blocks(strata: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """(P,) the block of each patient: a block each, or of many patients random ones of equal size within strata.

    Blocks in place of single patients are Efron & Narasimhan's (J Comput Graph Stat 2020;29:608-619).
    """
    n_patients = len(strata)
    if n_patients <= _MOST_BLOCKS:
        return np.arange(n_patients)
    rng = np.random.default_rng(seed)
    names = np.unique(strata)
    blocks, n_blocks = np.zeros(n_patients, dtype=np.int64), 0
    for stratum in names:
        members = rng.permutation(np.flatnonzero(strata == stratum))
        n_here = min(len(members), max(_MOST_BLOCKS // len(names), 2))
        blocks[members] = n_blocks + np.arange(len(members)) % n_here
        n_blocks += n_here
    return blocks


def _without_each_block(blocks: NDArray[np.int64]) -> Iterator[Floats]:
    """Chunks (b, P) of weights, 0 for the patients of one block in each row, in the order of the blocks."""
    n_blocks = int(blocks.max(initial=-1)) + 1
    chunk = max(1, _CHUNK_ELEMENTS // max(len(blocks), 1))
    for start in range(0, n_blocks, chunk):
        yield (np.arange(start, min(start + chunk, n_blocks))[:, None] != blocks).astype(np.float64)
