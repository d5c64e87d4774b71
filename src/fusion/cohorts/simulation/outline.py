"""The lesion's contour: its size, its place and how irregular it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusion.cohorts.simulation.settings import Frame, Lesion, Range

_N_ANGLES = 1440
_ANGLES = np.arange(_N_ANGLES) * (2 * math.pi / _N_ANGLES)
# No spike reaches further in than this part of the radius.
_LEAST_RADIUS = 0.3
_READER_LOBES = (1, 6)


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A star-shaped contour.

    Attributes:
        row_px, column_px: Center.
        radius_px: (n,) at angles spaced evenly over the circle, the first along a row, the next ones deeper.
        length_px: Diameter along the skin of the ellipse that was made irregular.
    """

    row_px: float
    column_px: float
    radius_px: NDArray[np.float64]
    length_px: float

    def depth_inside_px(self, frame: Frame) -> NDArray[np.float32]:
        """Distance to the contour along the radius, (depth_px, width_px), positive inside."""
        rows = np.arange(frame.depth_px, dtype=np.float32)[:, None] - np.float32(self.row_px)
        columns = np.arange(frame.width_px, dtype=np.float32)[None] - np.float32(self.column_px)
        turn = np.arctan2(rows, columns) / np.float32(2 * math.pi)
        nearest = np.rint(turn * _N_ANGLES).astype(int) % _N_ANGLES
        return np.asarray(self.radius_px[nearest] - np.hypot(rows, columns), dtype=np.float32)

    @property
    def extent_px(self) -> tuple[float, float, float, float]:
        """How far it reaches up, down, left and right of its center."""
        rows, columns = self.radius_px * np.sin(_ANGLES), self.radius_px * np.cos(_ANGLES)
        return -rows.min(), rows.max(), -columns.min(), columns.max()

    @property
    def mean_radius_px(self) -> float:
        """Radius of the circle of the same area."""
        return math.sqrt(np.mean(self.radius_px**2))


def draw_outline(lesion: Lesion, shape: float, *, frame: Frame, rng: np.random.Generator) -> Outline:
    """A contour of random size and place, as irregular as the ``shape`` factor says.

    The area is the smooth ellipse's, however irregular the contour: size must not tell the factor.
    """
    a = rng.uniform(*lesion.length_mm) / frame.pixel_mm / 2
    b = a * rng.uniform(*lesion.aspect)
    ellipse = a * b / np.hypot(b * np.cos(_ANGLES), a * np.sin(_ANGLES))
    deviation = at_factor(lesion.irregularity, shape) * _harmonics(lesion.lobes, rng)
    radius = ellipse * np.maximum(1 + deviation, _LEAST_RADIUS)
    radius *= math.sqrt(np.mean(ellipse**2) / np.mean(radius**2))
    return _placed(Outline(row_px=0, column_px=0, radius_px=radius, length_px=2 * a), lesion, frame, rng)


def drawn_by_reader(outline: Outline, jitter: float, *, rng: np.random.Generator) -> Outline:
    """The contour as a reader's hand draws it: off by ``jitter`` times the radius (root mean square)."""
    return replace(outline, radius_px=outline.radius_px * (1 + jitter * _harmonics(_READER_LOBES, rng)))


def at_factor(ends: Range, factor: float) -> float:
    """Log-linear between the values at factor -2 and +2, and limited there."""
    share = (min(max(factor, -2.0), 2.0) + 2) / 4
    return float(ends[0] ** (1 - share) * ends[1] ** share)


def _harmonics(lobes: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """A random function of the angle, (n,), of the given harmonics, mean 0 and root mean square 1."""
    orders = np.arange(lobes[0], lobes[1] + 1)[:, None]
    weights = rng.standard_normal((2, len(orders), 1)) / np.sqrt(orders)
    wave = (weights[0] * np.cos(orders * _ANGLES) + weights[1] * np.sin(orders * _ANGLES)).sum(0)
    return np.asarray(wave / np.sqrt(np.mean(wave**2)))


def _placed(outline: Outline, lesion: Lesion, frame: Frame, rng: np.random.Generator) -> Outline:
    """The contour at a random place within the depths that lesions keep to, wholly in the frame where it can be."""
    up, down, left, right = outline.extent_px
    highest, lowest = (depth * frame.depth_px for depth in lesion.depth)
    row = _between(highest + up, lowest - down, rng)
    column = _between(left + 1, frame.width_px - 2 - right, rng)
    return replace(outline, row_px=row, column_px=column)


def _between(low: float, high: float, rng: np.random.Generator) -> float:
    """A uniform draw; the middle where there is no room."""
    return float(rng.uniform(low, high)) if low < high else (low + high) / 2
