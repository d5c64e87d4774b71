"""The image and the mask of one case, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.imaging.masks import read_mask
from fusion.imaging.problems import ADVICE
from fusion.imaging.read import read_pixels
from fusion.records import Case


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """An image and where the lesion is in it.

    Attributes:
        pixels: (H, W) gray values in [0, 255], rows running with depth.
        mask: (H, W) with at least one True.
    """

    pixels: NDArray[np.float32]
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.pixels.shape != self.mask.shape or self.pixels.ndim != 2 or not self.mask.any():
            shapes = f"image {self.pixels.shape}, mask {self.mask.shape}"
            raise ValueError(f"lesion: {shapes} with {np.count_nonzero(self.mask)} pixels")


def read_lesion(case: Case) -> Lesion:
    """Read the image and the mask of a case that has both.

    Raises:
        InputError: Naming file and case, for a file that can't be read, a frame that is not there, a mask of another
            size than the image, an empty mask, or a label that the mask does not have.
        ValueError: If the case has no image or no mask.
    """
    if case.image is None or case.mask is None:
        raise ValueError(f"case {case.case_id!r} has no image or no mask")
    try:
        pixels = read_pixels(case.image, frame=case.frame)
        height, width = pixels.shape
        mask = read_mask(case.mask, label=case.mask_label, shape=(height, width), frame=case.frame)
    except InputError as error:
        problems = [replace(problem, where=f"{problem.where} (case {case.case_id})") for problem in error.problems]
        raise InputError("images and masks", problems, ADVICE) from error
    return Lesion(pixels=pixels, mask=mask)
