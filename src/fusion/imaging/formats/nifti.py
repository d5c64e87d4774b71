"""ITK fills up a NIfTI file that was cut off with whatever lies in memory, without a word: look before it reads."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

from fusion.imaging.problems import file_problem

_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 540
# Per version: header size, then offset and struct format of dim, bitpix and vox_offset (nifti1.h, nifti2.h).
_LAYOUTS = {348: ((40, "8h"), (72, "h"), (108, "f")), 540: ((16, "8q"), (14, "h"), (168, "q"))}


def check_complete(path: Path) -> None:
    """Raise unless the file holds every voxel that its header announces.

    Raises:
        InputError: If the file is shorter, or is no NIfTI file.
        EOFError, gzip.BadGzipFile, zlib.error: If a .nii.gz is cut off or damaged.
    """
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
        n_bytes = len(header)
        while chunk := stream.read(_CHUNK_BYTES):
            n_bytes += len(chunk)
    announced = _announced_bytes(header)
    if announced is None:
        raise file_problem(path, required="a NIfTI-1 or NIfTI-2 file", came="another header")
    if n_bytes < announced:
        raise file_problem(path, required=f"the {announced} bytes that its header announces", came=f"{n_bytes} bytes")


def _announced_bytes(header: bytes) -> int | None:
    for order in "<>":
        for size, (dim, bitpix, offset) in _LAYOUTS.items():
            if len(header) >= size and struct.unpack_from(f"{order}i", header)[0] == size:
                n_axes, *lengths = struct.unpack_from(order + dim[1], header, dim[0])
                bits = struct.unpack_from(order + bitpix[1], header, bitpix[0])[0]
                start = struct.unpack_from(order + offset[1], header, offset[0])[0]
                n_values: int = math.prod(lengths[:n_axes])
                return int(start) + n_values * int(bits) // 8
    return None
