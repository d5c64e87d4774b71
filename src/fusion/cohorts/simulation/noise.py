"""Smooth random fields, of which uneven tissue is made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Field = NDArray[np.float32]

_FINEST_SIGMA_PX = 2.5


def smooth_noise(shape: tuple[int, int], sigma_px: tuple[float, float], rng: np.random.Generator) -> Field:
    """Normal noise after a Gaussian filter, periodic, with mean 0 and standard deviation 1.

    Args:
        shape: Of the field.
        sigma_px: The filter's standard deviation along each axis; 0 for none.
        rng: Source of the noise.
    """
    # A smooth field loses nothing at a lower resolution, where the filter takes a fraction of the time.
    n_halvings = [int(np.log2(max(sigma / _FINEST_SIGMA_PX, 1))) for sigma in sigma_px]
    coarse = [-(-size // 2**n) for size, n in zip(shape, n_halvings, strict=True)]
    sigma = [sigma / 2**n for sigma, n in zip(sigma_px, n_halvings, strict=True)]
    field = gaussian_filter(rng.standard_normal(coarse, dtype=np.float32), sigma, mode="wrap", truncate=3)
    for axis, n in enumerate(n_halvings):
        for _ in range(n):
            field = _doubled(field, axis)
    field = field[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _doubled(field: Field, axis: int) -> Field:
    """Twice the samples along an axis, the new ones halfway between their neighbors."""
    size = list(field.shape)
    size[axis] *= 2
    between = (field + np.roll(field, -1, axis)) / 2
    return np.stack([field, between], axis + 1).reshape(size)
