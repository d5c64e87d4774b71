"""PNG, JPEG, BMP and TIFF, through Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fusion.imaging.formats.raster import PickFrame, Raster

# Pillow opens a JPEG of several pictures as one and calls it MPO afterwards.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
_AS_STORED = {"1", "L", "I", "F", "I;16", "I;16L", "I;16B", "RGB", "RGBA"}


def read_picture(path: Path, pick: PickFrame) -> Raster:
    """One page of a picture, turned as its EXIF orientation says. The format is known by content, not by suffix."""
    with Image.open(path, formats=_FORMATS) as image:
        image.seek(pick(getattr(image, "n_frames", 1)))
        lossy = image.format in {"JPEG", "MPO"} or image.info.get("compression") == "jpeg"
        upright = ImageOps.exif_transpose(image)
    if upright.mode in {"P", "PA"}:
        return Raster(values=np.asarray(upright.getchannel("P")), palette=_palette(upright))
    return Raster(values=_values(upright), lossy=lossy)


def _values(image: Image.Image) -> NDArray[np.generic]:
    if image.mode in _AS_STORED:
        return np.asarray(image)
    return np.asarray(image.getchannel("L") if image.mode == "LA" else image.convert("RGB"))


def _palette(image: Image.Image) -> NDArray[np.uint8]:
    """(256, 3); entries that the file leaves out are black, as viewers show them."""
    entries = image.getpalette("RGB") or []
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(entries) // 3] = np.reshape(entries, (-1, 3))
    return palette
