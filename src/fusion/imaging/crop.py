"""A lesion → a square of fixed size around it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fusion.imaging.lesion import Lesion

# Part of every crop's cache key: raise it with any change of reading or cropping that changes values.
CROP_VERSION = 1


def crop_lesion(lesion: Lesion, *, margin: float, n_px: int) -> NDArray[np.uint8]:
    """Image and mask in a square around the lesion, as ``n_px`` x ``n_px`` pixels. Proportions are kept.

    The side is (1 + 2 margin) times the longer side of the lesion's bounding box, in whole pixels. The square is
    centered on the box and shifted where it would leave the image: tissue tells more than an empty border. A square
    larger than the image is filled up with zeros, which is what B-mode shows outside of the scanned sector, while
    reflected tissue would show a second lesion. Resizing is bilinear with its support scaled when shrinking (Pillow's,
    the same as torchvision's ``antialias=True``), so that speckle does not alias.

    Args:
        lesion: Image and mask.
        margin: Added on each side, as a fraction of the longer side of the box.
        n_px: Side of the result.

    Returns:
        (2, n_px, n_px): the image in 0..255, and how much of each pixel the lesion covers, 0..255; a soft edge
        stays smooth when an augmentation turns it.
    """
    top, left, side = _square(lesion.mask, margin)
    pixels = _cut(lesion.pixels, top, left, side)
    coverage = _cut(lesion.mask, top, left, side).astype(np.float32) * 255
    return np.stack([_resize(pixels, n_px), _resize(coverage, n_px)])


def _square(mask: NDArray[np.bool_], margin: float) -> tuple[int, int, int]:
    """Top, left and side; top and left are negative where the square is larger than the image."""
    boxes = [np.flatnonzero(mask.any(axis=axis))[[0, -1]] + (0, 1) for axis in (1, 0)]
    longer = max(int(stop - start) for start, stop in boxes)
    side = math.ceil((1 + 2 * margin) * longer)
    top, left = (
        _start(int(start), int(stop), side, length) for (start, stop), length in zip(boxes, mask.shape, strict=True)
    )
    return top, left, side


def _start(start: int, stop: int, side: int, length: int) -> int:
    centered = (start + stop - side) // 2
    room = length - side
    return min(max(centered, min(room, 0)), max(room, 0))


def _cut(values: NDArray[Any], top: int, left: int, side: int) -> NDArray[Any]:
    square = np.zeros((side, side), dtype=values.dtype)
    inside = values[max(top, 0) : top + side, max(left, 0) : left + side]
    row, column = max(-top, 0), max(-left, 0)
    square[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return square


def _resize(square: NDArray[np.float32], n_px: int) -> NDArray[np.uint8]:
    resized = Image.fromarray(square).resize((n_px, n_px), Image.Resampling.BILINEAR)
    rounded: NDArray[np.float32] = np.rint(np.asarray(resized)).clip(0, 255)
    return rounded.astype(np.uint8)
