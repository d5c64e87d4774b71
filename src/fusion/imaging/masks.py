"""A mask file → where the lesion is."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.imaging.formats.raster import Raster
from fusion.imaging.labelme import read_labelme
from fusion.imaging.load import load, pick_frame
from fusion.imaging.problems import file_problem

_LOSSY_THRESHOLD = 128
_N_VALUES_SHOWN = 10


def read_mask(path: Path, *, label: int | None, shape: tuple[int, int], frame: int | None) -> NDArray[np.bool_]:
    """The lesion's pixels, from a 0/1, 0/255, 1-bit, palette or label mask, or LabelMe JSON.

    Of a color mask the largest color channel counts, never alpha: BrEaST's masks are RGBA, one of them with a
    half-transparent lesion. A palette mask's values are its indices. JPEG smears edges, so that a JPEG mask is cut
    at 128 instead of 0.

    Args:
        path: In any format that images may have, or LabelMe JSON (``.json``).
        label: The lesion's value; None takes every value above 0.
        shape: (H, W) of the image.
        frame: Of a mask with several frames. A mask with a single frame is the chosen frame's already.

    Returns:
        (H, W) with at least one True.

    Raises:
        InputError: If the file can't be read, differs from the image in size, lacks the label or is empty.
    """
    if path.suffix.lower() == ".json":
        values: NDArray[Any] = read_labelme(path, label=label, shape=shape)
    else:
        values = _values(path, load(path, pick=lambda n: 0 if n == 1 else pick_frame(path, frame, n)), label)
    if values.shape != shape:
        raise file_problem(path, required=f"the image's size, {_size(shape)}", came=_difference(values.shape, shape))
    mask = values > 0 if label is None else values == label
    if not mask.any():
        raise _no_lesion(path, values, label)
    return np.asarray(mask, dtype=np.bool_)


def _values(path: Path, raster: Raster, label: int | None) -> NDArray[Any]:
    # A reduction over the short last axis takes ten times as long.
    values = (
        raster.values if raster.values.ndim == 2 else reduce(np.maximum, np.moveaxis(raster.values[..., :3], -1, 0))
    )
    if not raster.lossy:
        return values
    if label is not None:
        raise file_problem(path, required=f"a lossless format (PNG, ...) to hold label {label}", came="a JPEG")
    return np.where(values >= _LOSSY_THRESHOLD, values, 0)


def _no_lesion(path: Path, values: NDArray[Any], label: int | None) -> Exception:
    if label is None or not values.any():
        return file_problem(path, required="at least one lesion pixel", came="an empty mask")
    found = np.unique(values[values != 0])
    more = f" and {len(found) - _N_VALUES_SHOWN} more" if len(found) > _N_VALUES_SHOWN else ""
    came = "labels " + ", ".join(f"{value:g}" for value in found[:_N_VALUES_SHOWN].astype(float)) + more
    return file_problem(path, required=f"label {label}", came=came)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} rows and {shape[1]} columns"


def _difference(came: tuple[int, ...], expected: tuple[int, int]) -> str:
    return _size(came) + (" (rows and columns exchanged)" if came == expected[::-1] else "")
