"""ComBat: how much each center shifts and stretches each feature, estimated with an empirical Bayes prior.

Own code on purpose, held to Bioconductor's sva (the authors' implementation) by its tests. combatlearn 2.3.0 takes the
prior of a feature from the same feature in the other centers, where the paper takes it from the center's other
features, and so gives other values; neuroHarmonize 2.5 needs numpy < 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError

# Changes of the posterior means and (relative) variances below it are the end of the iteration; sva stops at 1e-4.
_TOLERANCE = 1e-10
_MAX_ITERATIONS = 100_000
# Of the pooled variance. A feature that is constant within one center would otherwise be divided by 0.
_SMALLEST_SPREAD = 1e-8

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CombatParameters:
    """Fitted ComBat of B centers, F features and D covariates.

    Attributes:
        means: (F,) mean over the training cases where the covariates are 0.
        scales: (F,) pooled standard deviation within the centers.
        effects: (D, F) of the covariates, in the feature's unit.
        shifts: (B, F) gamma*: what a center adds, in pooled standard deviations.
        spreads: (B, F) delta*: variance of a center over the pooled variance, above 0.
    """

    means: Array
    scales: Array
    effects: Array
    shifts: Array
    spreads: Array


def estimate_combat(
    values: Array, centers: NDArray[np.int64], covariates: Array, *, parametric: bool
) -> CombatParameters:
    """Estimate ComBat (Johnson, Li & Rabinovic, Biostatistics 8:118, 2007; covariates as in Fortin et al., 2018).

    A feature of a case in center i is taken as ``mean + covariates @ effects + scale * (shift_i + sqrt(spread_i) e)``.
    Shifts and spreads of a center are shrunk towards what is usual among the center's features.

    Args:
        values: (N, F) finite, no feature constant within every center.
        centers: (N,) from 0 to B - 1, each at least twice.
        covariates: (N, D) numbers whose effect is to stay.
        parametric: Normal and inverse gamma priors, else the center's own features as the prior (section 3.3).
            With a single feature there is nothing to shrink towards, and neither is used.

    Raises:
        FusionError: If the parametric iteration does not end.
    """
    design = np.eye(int(centers.max()) + 1)[centers]
    counts = design.sum(axis=0)
    averages = covariates.mean(axis=0)
    # Centered, so that of the many equal fits of dependent columns none moves a feature's mean into the covariates.
    fitted = np.linalg.lstsq(np.hstack([design, covariates - averages]), values, rcond=None)[0]
    of_centers, effects = fitted[: len(counts)], fitted[len(counts) :]
    means = counts @ of_centers / len(values) - averages @ effects
    residuals = values - design @ of_centers - (covariates - averages) @ effects
    scales = np.sqrt((residuals**2).mean(axis=0).clip(min=1e-20 * values.var(axis=0)))
    standardized = (values - means - covariates @ effects) / scales
    shrink = (_parametric if parametric else _empirical) if values.shape[1] > 1 else _nothing
    stars = [shrink(*_location_and_spread(standardized[centers == center])) for center in range(len(counts))]
    return CombatParameters(
        means=means,
        scales=scales,
        effects=effects,
        shifts=np.array([shift for shift, _ in stars]),
        spreads=np.array([spread for _, spread in stars]),
    )


def _location_and_spread(rows: Array) -> tuple[Array, Array, int]:
    return rows.mean(axis=0), rows.var(axis=0, ddof=1).clip(min=_SMALLEST_SPREAD), len(rows)


def _nothing(shift: Array, spread: Array, n_rows: int) -> tuple[Array, Array]:  # noqa: ARG001
    return shift, spread


def _parametric(shift: Array, spread: Array, n_rows: int) -> tuple[Array, Array]:
    """Equations 3.1 and 3.2, with moments of the center's features as the priors' parameters."""
    mean, variance = shift.mean(), shift.var(ddof=1)
    usual = spread.mean()
    # Where all features spread alike the prior is a point; this is close to one.
    relative = max(spread.var(ddof=1) / usual**2, 1e-12)
    shape, rate = 2 + 1 / relative, usual * (1 + 1 / relative)
    new_shift, new_spread = shift, spread
    for _ in range(_MAX_ITERATIONS):
        old_shift, old_spread = new_shift, new_spread
        new_shift = (n_rows * variance * shift + old_spread * mean) / (n_rows * variance + old_spread)
        squares = (n_rows - 1) * spread + n_rows * (shift - new_shift) ** 2
        new_spread = (rate + squares / 2) / (n_rows / 2 + shape - 1)
        change = max(np.abs(new_shift - old_shift).max(), np.abs(new_spread / old_spread - 1).max())
        if change < _TOLERANCE:
            return new_shift, new_spread
    raise FusionError(
        f"ComBat: required an estimate that settles in {_MAX_ITERATIONS} iterations, came one that still changes by "
        f"{change:.1e}; train with harmonization.parametric=false"
    )


def _empirical(shift: Array, spread: Array, n_rows: int) -> tuple[Array, Array]:
    """Each feature's estimate is the mean of the other features' estimates, weighted by how well they explain it."""
    squares = (n_rows - 1) * spread[:, None] + n_rows * (shift[:, None] - shift) ** 2
    # Of logarithms, since likelihoods of some hundred cases are 0 in double precision.
    likelihood = -n_rows / 2 * np.log(spread) - squares / (2 * spread)
    np.fill_diagonal(likelihood, -np.inf)
    weights = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ shift, weights @ spread
