"""A path and a frame → the decoded `Raster`, whatever the format."""

from __future__ import annotations

from pathlib import Path

from fusion.imaging.formats.dicom import is_dicom, read_dicom
from fusion.imaging.formats.picture import read_picture
from fusion.imaging.formats.raster import PickFrame, Raster
from fusion.imaging.formats.volume import SUFFIXES, read_volume
from fusion.imaging.problems import decoding, file_problem

_REQUIRED = "a readable PNG, JPEG, BMP, TIFF, DICOM, NIfTI, NRRD or MHA image"


def load(path: Path, *, pick: PickFrame) -> Raster:
    """Decode one frame of a file.

    Raises:
        InputError: If the file is absent, damaged, in no known format, or has no such frame.
    """
    with decoding(path, required=_REQUIRED):
        if is_dicom(path):
            return read_dicom(path, pick)
        if path.name.lower().endswith(SUFFIXES):
            return read_volume(path, pick)
        return read_picture(path, pick)


def pick_frame(path: Path, frame: int | None, n_frames: int) -> int:
    """The wanted frame of a file with ``n_frames``; a single frame needs no choice.

    Raises:
        InputError: If several frames leave the choice open, or the chosen one is not there.
    """
    if frame is None and n_frames > 1:
        raise file_problem(
            path, required=f"the table to choose one of its {n_frames} frames, counted from 0", came="no frame"
        )
    chosen = frame or 0
    if not 0 <= chosen < n_frames:
        required = f"a frame from 0 to {n_frames - 1}" if n_frames > 1 else "frame 0, the only one"
        raise file_problem(path, required=required, came=f"frame {chosen}")
    return chosen
