"""DICOM ultrasound, through pydicom. Rescale and window are not for ultrasound and are not applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.imaging.formats.raster import PickFrame, Raster
from fusion.imaging.problems import file_problem

# pydicom turns every YBR into RGB while it decodes.
_COLOR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_KNOWN = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", *_COLOR}


def is_dicom(path: Path) -> bool:
    """Whether the file has the DICOM signature; archives often store DICOM files without a suffix."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom(path: Path, pick: PickFrame) -> Raster:
    """One frame (PS3.3 C.7.6.3.1.2): MONOCHROME1 inverted, YBR as RGB, PALETTE COLOR as indices with their palette.

    Raises:
        InputError: For a photometric interpretation that is none of these.
    """
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array

    dataset = dcmread(path)
    photometric = str(dataset.PhotometricInterpretation)
    if photometric not in _KNOWN:
        raise file_problem(path, required=f"a photometric interpretation of {sorted(_KNOWN)}", came=repr(photometric))
    values = pixel_array(dataset, index=pick(int(dataset.get("NumberOfFrames") or 1)))
    if photometric in _COLOR:
        return Raster(values=values)
    if photometric == "PALETTE COLOR":
        return Raster(values=values, palette=_palette(dataset))
    return Raster(values=_monochrome(values, dataset, inverted=photometric == "MONOCHROME1"))


def _monochrome(values: NDArray[Any], dataset: Any, *, inverted: bool) -> NDArray[Any]:
    bits = int(dataset.BitsStored)
    if inverted:
        values = (1 << bits) - 1 - values.astype(np.int32)
    # Eight stored bits may be allocated sixteen; they are 8-bit data all the same.
    return values.astype(np.uint8) if bits <= 8 and not dataset.PixelRepresentation else values


def _palette(dataset: Any) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_color_lut

    indices = np.arange(1 << int(dataset.BitsAllocated), dtype=f"u{int(dataset.BitsAllocated) // 8}")
    colors = apply_color_lut(indices, dataset)[:, :3]
    # Some scanners declare 16-bit entries and write 8-bit values into them: there is nothing in the high byte then.
    return (colors >> 8 if colors.max() > 255 else colors).astype(np.uint8)
