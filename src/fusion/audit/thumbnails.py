"""Small pictures of images with the lesion's contour."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from fusion.audit.finding import Box, Picture
from fusion.imaging.lesion import read_lesion
from fusion.imaging.read import read_pixels
from fusion.records import Case

_SIDE_PX = 240
_MARGIN = 0.2
_CONTOUR, _BOX = (240, 228, 66), (213, 94, 0)
_QUALITY = 82


def draw_pictures(pictures: Sequence[Picture], cases: Mapping[str, Case]) -> list[str]:
    """A data URI of each picture, drawn in threads from the files."""
    from joblib import Parallel, delayed

    drawn = Parallel(n_jobs=-1, prefer="threads")(delayed(_draw)(one, cases[one.case_id]) for one in pictures)
    return list(drawn)


def _draw(picture: Picture, case: Case) -> str:
    """JPEG of the image, or of the lesion and its surroundings, with the contour in yellow and the boxes in orange."""
    assert case.image is not None
    if case.mask is None:
        pixels, mask = read_pixels(case.image, frame=case.frame), None
    else:
        lesion = read_lesion(case)
        pixels, mask = lesion.pixels, lesion.mask
    top, left, bottom, right = (0, 0, *pixels.shape) if picture.whole or mask is None else _surroundings(mask)
    scale = _SIDE_PX / max(bottom - top, right - left)
    size = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
    part = Image.fromarray(pixels[top:bottom, left:right].astype(np.uint8))
    image = part.resize(size, Image.Resampling.BICUBIC).convert("RGB")
    if mask is not None:
        image = _with_contour(image, mask[top:bottom, left:right])
    canvas = ImageDraw.Draw(image)
    for box in picture.boxes:
        canvas.rectangle(_scaled(box, top, left, scale), outline=_BOX)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _surroundings(mask: NDArray[np.bool_]) -> Box:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    margin = round(_MARGIN * max(np.ptp(rows), np.ptp(columns))) + 8
    return (
        max(int(rows[0]) - margin, 0),
        max(int(columns[0]) - margin, 0),
        min(int(rows[-1]) + margin + 1, mask.shape[0]),
        min(int(columns[-1]) + margin + 1, mask.shape[1]),
    )


def _with_contour(image: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
    small = np.asarray(Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST))
    pixels = np.asarray(image).copy()
    pixels[small & ~ndimage.binary_erosion(small, border_value=0)] = _CONTOUR
    return Image.fromarray(pixels)


def _scaled(box: Box, top: int, left: int, scale: float) -> tuple[float, float, float, float]:
    y0, x0, y1, x1 = box
    # A pixel of room, so that the box lies around what it shows.
    return (x0 - left - 1) * scale, (y0 - top - 1) * scale, (x1 - left + 1) * scale, (y1 - top + 1) * scale
