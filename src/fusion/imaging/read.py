"""An image file → gray values."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.imaging.load import load, pick_frame
from fusion.imaging.problems import file_problem

# ITU-R BT.601 luma (0.299, 0.587, 0.114) in 1/65536, as Pillow's "L" has it: gray values stay exactly what they are.
_RED, _GREEN, _BLUE = 19595, 38470, 7471


def read_pixels(path: Path, *, frame: int | None) -> NDArray[np.float32]:
    """Gray values of one image, rows running with depth.

    Colors become luminance (ITU-R BT.601, rounded for 8-bit data: the values of Pillow's ``convert("L")``) in every
    format; alpha is dropped, not blended. 8-bit data keep their values and 1-bit data become 0 and 255. All other
    types (16-bit, float) are stretched linearly from the image's own minimum and maximum to 0 and 255; an image of
    one value becomes 0.

    Args:
        path: PNG, JPEG, BMP, TIFF, DICOM, NIfTI, NRRD or MHA.
        frame: Counted from 0; None for a file with a single frame.

    Returns:
        (H, W) in [0, 255].

    Raises:
        InputError: If the file can't be read, has several frames and none is chosen, has no such frame, or has
            values that are not finite.
    """
    raster = load(path, pick=partial(pick_frame, path, frame))
    values = raster.values if raster.palette is None else raster.palette[raster.values]
    gray = values if values.ndim == 2 else _luminance(values)
    if not np.all(np.isfinite(gray)):
        raise file_problem(path, required="finite values", came=f"{np.count_nonzero(~np.isfinite(gray))} that are not")
    return _to_255(gray)


def _luminance(colors: NDArray[Any]) -> NDArray[Any]:
    eight_bit = colors.dtype == np.uint8
    red, green, blue = np.moveaxis(colors[..., :3].astype(np.uint32 if eight_bit else np.float64), -1, 0)
    weighted: NDArray[Any] = _RED * red + _GREEN * green + _BLUE * blue
    return ((weighted + 0x8000) >> 16).astype(np.uint8) if eight_bit else weighted / 0x10000


def _to_255(gray: NDArray[Any]) -> NDArray[np.float32]:
    if gray.dtype == np.bool_:
        return gray.astype(np.float32) * 255
    if gray.dtype == np.uint8:
        return gray.astype(np.float32)
    low, high = float(gray.min()), float(gray.max())
    if low == high:
        return np.zeros(gray.shape, dtype=np.float32)
    return ((gray.astype(np.float64) - low) / (high - low) * 255).astype(np.float32)
