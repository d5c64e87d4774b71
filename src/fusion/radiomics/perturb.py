"""Outlines that another reader might have drawn, made from the one that there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.storage import content_key

# Count up when a change of this file changes masks.
_RECIPE = 1
# Length of the waves of a rough contour, as a fraction of the lesion's equivalent diameter.
_WAVE = 0.1

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """A change of a lesion's outline (the idea is that of Zwanenburg et al., Sci Rep 9:614, 2019).

    The result is the same whenever and wherever it is made. It lies inside the image and has at least one pixel; it is
    the mask itself where there is no room for a change: in a lesion of a single pixel's width, at the image's border.

    Attributes:
        kind: ``grow`` or ``shrink`` moves the contour out or in everywhere, ``shift`` moves the lesion in a random
            direction, ``roughen`` moves the contour out and in by random waves whose standard deviation is the size.
        size: Fraction of the lesion's equivalent diameter (that of a circle of its area); at least one pixel.
        seed, number: Choose the random draw, together with the case id.
    """

    kind: str
    size: float
    seed: int
    number: int

    def __str__(self) -> str:
        return f"{self.kind} {self.size:g}" + (f" ({self.number + 1})" if self.number else "")

    def key(self, case_id: str) -> dict[str, Any]:
        """What the result depends on beside the mask, as plain content."""
        of_kind = {"kind": self.kind, "size": self.size, "recipe": _RECIPE}
        draw = {"seed": self.seed, "number": self.number, "case": case_id}
        return of_kind | (draw if self.kind in _RANDOM else {})

    def apply(self, mask: Mask, case_id: str) -> Mask:
        """The changed mask.

        Args:
            mask: (H, W) with at least one True. One that fills the image stays as it is.
            case_id: Of the case.
        """
        if mask.all():
            return mask
        diameter = 2 * np.sqrt(np.count_nonzero(mask) / np.pi)
        radius = max(self.size * diameter, 1.0)
        if self.kind not in _RANDOM:
            return _FIXED[self.kind](mask, radius)
        draw = np.random.default_rng(int(content_key(self.key(case_id)), 16))
        return _RANDOM[self.kind](mask, radius, draw)


def _grow(mask: Mask, radius: float) -> Mask:
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(~mask) <= radius)


def _shrink(mask: Mask, radius: float) -> Mask:
    """Not from the image's border inwards, since the lesion goes on beyond it; to half of the depth at most."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(mask)
    return np.asarray(depth > min(radius, depth.max() / 2))


def _shift(mask: Mask, radius: float, draw: np.random.Generator) -> Mask:
    """Less far where the image's border is in the way."""
    angle = draw.uniform(0, 2 * np.pi)
    moves = []
    for wanted, axis in ((np.sin(angle), 1), (np.cos(angle), 0)):
        used = np.flatnonzero(mask.any(axis=axis))
        moves.append(int(np.clip(round(radius * wanted), -used[0], mask.shape[1 - axis] - 1 - used[-1])))
    return np.roll(mask, moves, axis=(0, 1))


def _roughen(mask: Mask, radius: float, draw: np.random.Generator) -> Mask:
    """At most twice the size away, and inwards to half of the depth at most."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    depth = distance_transform_edt(mask)
    outside = distance_transform_edt(~mask)
    wave = _WAVE * 2 * np.sqrt(np.count_nonzero(mask) / np.pi)
    field = gaussian_filter(draw.standard_normal(mask.shape), max(wave, 1.0))
    moves = (radius * field / field.std()).clip(-min(2 * radius, (depth.max() - 0.5) / 2), 2 * radius)
    # Half a pixel, since the contour runs between the last pixel inside and the first outside.
    return np.asarray(np.where(mask, 0.5 - depth, outside - 0.5) < moves)


_FIXED: dict[str, Callable[[Mask, float], Mask]] = {"grow": _grow, "shrink": _shrink}
_RANDOM: dict[str, Callable[[Mask, float, np.random.Generator], Mask]] = {"shift": _shift, "roughen": _roughen}
KINDS = (*_FIXED, *_RANDOM)
