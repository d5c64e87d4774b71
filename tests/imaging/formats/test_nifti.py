import gzip
import struct
from pathlib import Path

import pytest

from fusion.errors import InputError
from fusion.imaging.formats.nifti import check_complete


def nifti1(order: str) -> bytes:
    """A header of 5 x 4 x 2 voxels of 16 bits that begin at byte 352: 432 bytes in all."""
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, 3, 5, 4, 2, 1, 1, 1, 1)
    struct.pack_into(order + "h", header, 72, 16)
    struct.pack_into(order + "f", header, 108, 352.0)
    return bytes(header)


def nifti2(order: str) -> bytes:
    """The same in NIfTI-2, from byte 544: 624 bytes in all."""
    header = bytearray(544)
    struct.pack_into(order + "i", header, 0, 540)
    struct.pack_into(order + "h", header, 14, 16)
    struct.pack_into(order + "8q", header, 16, 3, 5, 4, 2, 1, 1, 1, 1)
    struct.pack_into(order + "q", header, 168, 544)
    return bytes(header)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("make", "length"), [(nifti1, 432), (nifti2, 624)])
def test_the_announced_length_is_required(tmp_path: Path, order: str, make, length: int) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.nii"
    path.write_bytes(make(order) + bytes(80))
    check_complete(path)
    path.write_bytes(make(order) + bytes(79))
    with pytest.raises(InputError, match=rf"required the {length} bytes .*, came {length - 1} bytes"):
        check_complete(path)


def test_compressed_files_are_measured_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti1("<") + bytes(80)))
    check_complete(path)
    path.write_bytes(gzip.compress(nifti1("<") + bytes(70)))
    with pytest.raises(InputError, match="came 422 bytes"):
        check_complete(path)


def test_another_header_is_no_nifti(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(bytes(1000))
    with pytest.raises(InputError, match="required a NIfTI-1 or NIfTI-2 file, came another header"):
        check_complete(path)
