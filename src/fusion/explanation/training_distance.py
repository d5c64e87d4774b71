"""How far a case lies from the training cases of a model, in what the model sees of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Of the training rows' variance, that has directions of its own.
_EXPLAINED = 0.95
# Against directions in which the training rows do not vary at all.
_SMALLEST_VARIANCE = 1e-6
_N_PARTS = 5
_OF_GAUSSIAN = ("mean", "axes", "variances", "noise")


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Of rows of D columns, of which there may be more than rows.

    Its covariance is that of probabilistic principal components (Tipping & Bishop, J R Stat Soc B 1999;61:611-622,
    equations 7 and 8).

    Attributes:
        mean: (D,)
        axes: (Q, D) orthonormal directions that hold most of the variance.
        variances: (Q,) along these.
        noise: Variance along each of the other directions.
    """

    mean: Floats
    axes: Floats
    variances: Floats
    noise: float

    @classmethod
    def fit(cls, rows: Floats) -> Self:
        """Of (N, D) rows, two or more."""
        mean, n_columns = rows.mean(axis=0), rows.shape[1]
        _, lengths, axes = np.linalg.svd(rows - mean, full_matrices=False)
        variances = lengths**2 / (len(rows) - 1)
        n_axes = int(np.searchsorted(np.cumsum(variances), _EXPLAINED * variances.sum())) + 1
        smallest = max(_SMALLEST_VARIANCE * float(variances.sum()) / n_columns, np.finfo(np.float32).tiny)
        noise = max(float(variances[n_axes:].sum()) / max(n_columns - n_axes, 1), smallest)
        return cls(mean=mean, axes=axes[:n_axes], variances=np.maximum(variances[:n_axes], smallest), noise=noise)

    def distances(self, rows: Floats) -> Floats:
        """(N, D) → (N,) Mahalanobis distances, 0 or above."""
        centered = rows - self.mean
        along = centered @ self.axes.T
        # Not as a difference of squares, whose rounding a small noise would blow up.
        others = centered - along @ self.axes
        squared: Floats = (along**2 / self.variances).sum(axis=1) + (others**2).sum(axis=1) / self.noise
        return np.sqrt(squared)


@dataclass(frozen=True, kw_only=True)
class TrainingDistance:
    """Mahalanobis' distance from the training cases, as Lee et al., NeurIPS 2018, tell inputs of another kind by it.

    Attributes:
        gaussian: Of the training cases.
        reference: (M,) ascending distances of cases of the same cohort that the Gaussian was not fitted to.
    """

    gaussian: Gaussian
    reference: Floats

    @classmethod
    def fit(cls, rows: Floats, *, patients: Sequence[str], held_out: Floats) -> Self:
        """Fit to training cases.

        Args:
            rows: (N, D) of the training cases, two or more.
            patients: (N,) whom each is of.
            held_out: (M, D) of cases that the model was not fitted to. Where there are none, a fifth of the patients
                is left out of the Gaussian in their place: distances from it are then compared with distances from it.
        """
        if not len(held_out):
            numbers = {patient: number for number, patient in enumerate(sorted(set(patients)))}
            is_held = np.array([numbers[patient] % _N_PARTS == 0 for patient in patients])
            rows, held_out = rows[~is_held], rows[is_held]
        gaussian = Gaussian.fit(rows)
        return cls(gaussian=gaussian, reference=np.sort(gaussian.distances(held_out)))

    def percentiles(self, distances: Floats) -> Floats:
        """(N,) distances → (N,) share of the reference that lies nearer, 0 to 1: of the same kind 0.5 in the mean."""
        nearer, as_near = (np.searchsorted(self.reference, distances, side=side) for side in ("left", "right"))
        shares: Floats = (nearer + as_near) / 2 / len(self.reference)
        return shares

    def expected_share(self, percentile: float) -> float:
        """Of cases of the same kind, those that ``percentiles`` puts above ``percentile``; fewer steps, less exact."""
        n = len(self.reference)
        return (n - math.floor(percentile * n)) / (n + 1)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """For a file."""
        values = {name: getattr(self.gaussian, name) for name in _OF_GAUSSIAN} | {"reference": self.reference}
        return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """What gave ``arrays``, to single precision."""
        values = {name: np.asarray(value, dtype=np.float64) for name, value in arrays.items()}
        reference, noise = values.pop("reference"), float(values.pop("noise"))
        return cls(gaussian=Gaussian(noise=noise, **values), reference=reference)
