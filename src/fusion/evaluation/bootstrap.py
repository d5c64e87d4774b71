"""Bootstrap of patients, not of rows, within strata; percentile intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_CHUNK_ELEMENTS = 4_000_000


def bootstrap_weights(strata: NDArray[np.int64], *, n_bootstrap: int, seed: int) -> Iterator[NDArray[np.float64]]:
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


def bootstrap_totals(
    totals: NDArray[np.float64], strata: NDArray[np.int64], *, n_bootstrap: int, seed: int
) -> NDArray[np.float64]:
    """(P, C) sums by patient → (B, C) sums of each replicate."""
    weights = bootstrap_weights(strata, n_bootstrap=n_bootstrap, seed=seed)
    return np.concatenate([chunk @ totals for chunk in weights])


def percentile_interval(replicates: NDArray[np.float64], *, level: float) -> tuple[float, float]:
    """Percentile interval (Efron 1981) of (B,) replicates; those that define no figure (NaN) are left out."""
    defined = replicates[~np.isnan(replicates)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
