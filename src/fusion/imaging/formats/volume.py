"""NIfTI, NRRD and MHA, through SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fusion.imaging.formats.nifti import check_complete
from fusion.imaging.formats.raster import PickFrame, Raster
from fusion.imaging.problems import file_problem

_NIFTI = (".nii", ".nii.gz")
# Not .mhd and .nhdr: their pixels lie in another file, of which a content key would know nothing.
SUFFIXES = (*_NIFTI, ".nrrd", ".mha")


def read_volume(path: Path, pick: PickFrame) -> Raster:
    """One slice, in storage order.

    The file's fastest axis is lateral (columns), the second is depth (rows), the third, if there is one, counts
    frames. The orientation in the header is not applied: ultrasound has no patient axes, writers fill it in as they
    like, and images and masks that were written by one program agree in storage order. SimpleITK, ITK-SNAP and
    3D Slicer write 2D images like this; with nibabel save the transposed array.

    Raises:
        InputError: For more than three dimensions, channels other than 1, 3 or 4, or a NIfTI file that was cut off.
    """
    import SimpleITK

    if path.name.lower().endswith(_NIFTI):
        check_complete(path)
    image: Any = SimpleITK.ReadImage(str(path))
    n_channels = image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() > 3 or n_channels not in {1, 3, 4}:
        size = " x ".join(str(n) for n in image.GetSize())
        came = f"{image.GetDimension()} dimensions ({size}), {n_channels} channels"
        raise file_problem(path, required="a 2D image or a 3D stack of frames, with 1, 3 or 4 channels", came=came)
    values = SimpleITK.GetArrayFromImage(image)
    frames = values if image.GetDimension() == 3 else values[np.newaxis]
    return Raster(values=frames[pick(len(frames))])
