"""How much of an attribution lies in the lesion, in a ring around it, and beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REGIONS = ("lesion", "ring", "beyond")


@dataclass(frozen=True, kw_only=True)
class LesionShare:
    """Shares of three regions that divide the crop, in the order of ``REGIONS``.

    Attributes:
        attribution: (3,) of the absolute attribution, summing to 1; NaN where it is 0 everywhere.
        area: (3,) of the crop, summing to 1.
    """

    attribution: NDArray[np.float64]
    area: NDArray[np.float64]

    @property
    def ratio(self) -> NDArray[np.float64]:
        """(3,) attribution by area: 1 for one that is spread evenly; NaN for a region without area."""
        ratio: NDArray[np.float64] = np.full(len(REGIONS), np.nan)
        return np.divide(self.attribution, self.area, out=ratio, where=self.area > 0)


def lesion_share(values: NDArray[np.float64], mask: NDArray[np.uint8], *, ring: float) -> LesionShare:
    """Divide an attribution between the lesion, the ring and what is beyond.

    Args:
        values: (n_px, n_px) attribution, of any sign.
        mask: (n_px, n_px) lesion coverage, 0..255; a pixel that is half covered is in the lesion.
        ring: Its width, as a share of the lesion's equivalent diameter: that of the circle of the same area.
    """
    parts = _regions(mask >= 128, ring)
    strength = np.abs(values)
    total = strength.sum()
    sums = np.array([strength[part].sum() for part in parts])
    return LesionShare(
        attribution=sums / total if total > 0 else np.full(len(REGIONS), np.nan),
        area=np.array([part.mean() for part in parts]),
    )


def _regions(lesion: NDArray[np.bool_], ring: float) -> list[NDArray[np.bool_]]:
    from scipy.ndimage import distance_transform_edt

    if not lesion.any():
        return [lesion, lesion, ~lesion]
    diameter = 2 * math.sqrt(lesion.sum() / math.pi)
    near = distance_transform_edt(~lesion) <= ring * diameter
    return [lesion, near & ~lesion, ~near]
