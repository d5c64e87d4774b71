"""Text that is burned into an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fusion.audit.finding import Box

# Letters as scanners write them: strokes narrower than the opening, much brighter than what is beside them.
_STROKE_PX = 5
_MIN_STEP = 80.0
_HEIGHT_PX = (5, 32)
_FILL = (0.2, 0.9)
_MAX_ASPECT = 1.6
# Three letters of one height on one line do not happen by chance: among 492 images without text there is no such row.
_MIN_LETTERS = 3
_MAX_GAP = 0.8


def find_words(pixels: NDArray[np.float32]) -> tuple[Box, ...]:
    """Boxes of the words: rows of at least three bright letters of one height on one line.

    Prefers to miss: gray text on bright tissue, text of one or two letters and slanted text are not found.

    Args:
        pixels: (H, W) in [0, 255].
    """
    opened = ndimage.grey_opening(pixels, size=(_STROKE_PX, _STROKE_PX))
    places, n_found = ndimage.label(pixels - opened >= _MIN_STEP, structure=np.ones((3, 3)))
    sizes = np.bincount(places.ravel(), minlength=n_found + 1)[1:]
    boxes = [
        (rows.start, columns.start, rows.stop, columns.stop) for rows, columns in ndimage.find_objects(places) or ()
    ]
    letters = [box for box, size in zip(boxes, sizes.tolist(), strict=True) if _is_letter(box, size)]
    return tuple(_around(row) for row in _rows_of(letters) if len(row) >= _MIN_LETTERS)


def _is_letter(box: Box, n_px: int) -> bool:
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    is_stroke = width <= 3  # I, 1, l
    is_filled = _FILL[0] <= n_px / (height * width) <= _FILL[1] and width <= _MAX_ASPECT * height
    return _HEIGHT_PX[0] <= height <= _HEIGHT_PX[1] and (is_stroke or is_filled)


def _rows_of(letters: Sequence[Box]) -> list[list[Box]]:
    """Letters that follow each other on a line, by their tops and bottoms."""
    rows: list[list[Box]] = []
    for letter in sorted(letters, key=lambda box: box[1]):
        row = next((row for row in reversed(rows) if _follows(letter, row[-1])), None)
        if row is None:
            rows.append([letter])
        else:
            row.append(letter)
    return rows


def _follows(letter: Box, last: Box) -> bool:
    gap, height = letter[1] - last[3], last[2] - last[0]
    return abs(letter[0] - last[0]) <= 1 and abs(letter[2] - last[2]) <= 1 and 0 <= gap <= _MAX_GAP * height


def _around(row: Sequence[Box]) -> Box:
    tops, lefts, bottoms, rights = zip(*row, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)
