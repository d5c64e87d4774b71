"""Calipers: the crosses that a scanner draws where a reader measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage

Shape = Literal["+", "x"]
# Half lengths of the arms and widths of the strokes in pixels, as scanners draw them.
_HALF_LENGTHS = (3, 4, 5, 6, 8, 10)
_WIDTHS = (1, 2)
# Chosen by looking: among 252 lesions of BrEaST and 240 simulated ones, which have no marks, the highest correlation is
# 0.72 (+, half length 3), 0.65 (+, longer) and 0.52 (x); among the marks of BUS-BRA it is mostly above 0.8.
_MIN_CORRELATION = {"short +": 0.76, "+": 0.68, "x": 0.57}
# Gray levels between a mark and what is around it.
_MIN_CONTRAST = 45.0
# A cheap look at eight neighbors at distance 2 that spares most pixels the comparison with every template.
_MIN_ARM_CONTRAST = 15.0
# Of an arm, as a fraction of the whole mark's.
_MIN_ARM_SHARE = 0.25
_REACH = max(_HALF_LENGTHS) + 1


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A cross.

    Attributes:
        shape: ``+`` or ``x``; scanners' ``*`` are found as one of them.
        row, column: Of its center.
        half_length: Of the arms, in pixels.
        correlation: With the ideal cross, up to 1.
    """

    shape: Shape
    row: int
    column: int
    half_length: int
    correlation: float


@dataclass(frozen=True)
class _Template:
    shape: Shape
    half_length: int
    cross: NDArray[np.bool_]

    @property
    def threshold(self) -> float:
        short = self.shape == "+" and self.half_length == _HALF_LENGTHS[0]
        return _MIN_CORRELATION["short +" if short else self.shape]

    def has_four_arms(self, patch: NDArray[np.float32]) -> bool:
        """Whether each arm is brighter than what is around the cross: of a bright line only two are."""
        down, right = np.indices(self.cross.shape) - (self.half_length + 1)
        angles = (down < -1, down > 1, right < -1, right > 1)
        up, below, left, beside = (self.cross & angle for angle in angles)
        diagonal = (up & left, up & beside, below & left, below & beside)
        around = patch[~self.cross].mean()
        least = around + _MIN_ARM_SHARE * (patch[self.cross].mean() - around)
        return all(patch[arm].mean() >= least for arm in (diagonal if self.shape == "x" else (up, below, left, beside)))


def find_marks(pixels: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[Mark, ...]:
    """Crosses of which at least one pixel lies in the lesion.

    Every bright pixel in and near the lesion is compared with crosses of several sizes (normalized correlation).

    Args:
        pixels: (H, W) in [0, 255].
        mask: (H, W) with at least one True.
    """
    rows, columns = (slice(*_extent(mask.any(axis=axis))) for axis in (1, 0))
    padded = np.pad(pixels, _REACH, mode="edge")
    window = padded[rows.start : rows.stop + 2 * _REACH, columns.start : columns.stop + 2 * _REACH]
    near = np.pad(mask, _REACH)[rows.start : rows.stop + 2 * _REACH, columns.start : columns.stop + 2 * _REACH]
    offset = rows.start - _REACH, columns.start - _REACH
    padded_twice, inside = np.pad(window, _REACH, mode="edge"), np.pad(near, _REACH)
    places = np.argwhere(_candidates(window) & ndimage.maximum_filter(near, size=2 * _REACH - 1))
    if not len(places):
        return ()
    patches = sliding_window_view(padded_twice, (2 * _REACH + 1, 2 * _REACH + 1))[places[:, 0], places[:, 1]]
    covered = sliding_window_view(inside, (2 * _REACH + 1, 2 * _REACH + 1))[places[:, 0], places[:, 1]]
    return _strongest(_matches(patches, covered, places + offset))


def _extent(is_used: Any) -> tuple[int, int]:
    used = np.flatnonzero(is_used)
    return int(used[0]), int(used[-1]) + 1


def _candidates(window: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels that four neighbors at distance 2, upright or diagonal, share their brightness with."""

    def shifted(down: int, right: int) -> NDArray[np.float32]:
        return np.roll(window, (down, right), axis=(0, 1))

    upright = shifted(2, 0) + shifted(-2, 0) + shifted(0, 2) + shifted(0, -2)
    diagonal = shifted(2, 2) + shifted(-2, -2) + shifted(2, -2) + shifted(-2, 2)
    difference = np.abs(upright - diagonal) / 4 >= _MIN_ARM_CONTRAST
    bright = window >= (ndimage.uniform_filter(window, size=7) + _MIN_ARM_CONTRAST)
    return np.asarray(difference & bright, dtype=np.bool_)


def _matches(patches: NDArray[np.float32], covered: NDArray[np.bool_], places: NDArray[np.int64]) -> Iterator[Mark]:
    for half_length, templates in _templates().items():
        cut = _REACH - half_length - 1
        side = slice(cut, 2 * _REACH + 1 - cut)
        crosses = np.stack([template.cross.ravel() for template in templates])
        correlations, contrasts = _compare(patches[:, side, side].reshape(len(places), -1), crosses)
        thresholds = [template.threshold for template in templates]
        for i, k in np.argwhere((correlations >= thresholds) & (contrasts >= _MIN_CONTRAST)).tolist():
            touches = (covered[i, side, side] & templates[k].cross).any()
            if touches and templates[k].has_four_arms(patches[i, side, side]):
                yield Mark(
                    shape=templates[k].shape,
                    row=int(places[i, 0]),
                    column=int(places[i, 1]),
                    half_length=half_length,
                    correlation=float(correlations[i, k]),
                )


def _compare(
    values: NDArray[np.float32], crosses: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, n) patches and (T, n) crosses → (K, T) correlations, and gray levels of the cross above what is around it."""
    n, n_cross = crosses.shape[1], crosses.sum(axis=1)
    total = values.sum(axis=1, keepdims=True).astype(np.float64)
    squares = np.einsum("ij,ij->i", values, values)[:, None].astype(np.float64)
    on_cross = (values @ crosses.T.astype(np.float32)).astype(np.float64)
    variance = np.maximum(squares - total**2 / n, 1e-6) * (n_cross - n_cross**2 / n)
    correlation = (on_cross - total * n_cross / n) / np.sqrt(variance)
    return correlation, on_cross / n_cross - (total - on_cross) / (n - n_cross)


def _strongest(found: Iterable[Mark]) -> tuple[Mark, ...]:
    """One mark per place: templates of several sizes, and neighboring pixels, fit the same cross."""
    kept: list[Mark] = []
    for mark in sorted(found, key=lambda mark: -mark.correlation):
        if all(max(abs(mark.row - other.row), abs(mark.column - other.column)) > _REACH for other in kept):
            kept.append(mark)
    return tuple(kept)


@cache
def _templates() -> dict[int, tuple[_Template, ...]]:
    """Crosses by half length, which share their patches."""
    shapes: tuple[Shape, ...] = ("+", "x")
    return {
        half_length: tuple(
            _Template(shape, half_length, _cross(shape, half_length, width)) for shape in shapes for width in _WIDTHS
        )
        for half_length in _HALF_LENGTHS
    }


def _cross(shape: Shape, half_length: int, width: int) -> NDArray[np.bool_]:
    """A cross with one pixel of background around it; a second pixel of width lies right of and below the first."""
    side = 2 * half_length + 3
    middle, arm = half_length + 1, np.arange(1, side - 1)
    cross = np.zeros((side, side), dtype=np.bool_)
    for shift in range(width):
        if shape == "+":
            cross[middle + shift, arm] = cross[arm, middle + shift] = True
        else:
            cross[arm, arm + shift] = cross[arm, side - 1 - arm + shift] = True
    return cross
