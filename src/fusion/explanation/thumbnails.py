"""Small pictures of cases: the lesion outlined, and the same under what moved the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from fusion.imaging.store import Crops
from fusion.records import Case
from fusion.storage import atomic_path

# Twice what a table shows them at, for screens with two pixels in one.
_N_PX = 112
_QUALITY = 70
# Yellow, orange and blue of Okabe & Ito's palette for the color-blind (2008), as in fusion.explanation.overlay.
_CONTOUR, _FOR, _AGAINST = (0xF0, 0xE4, 0x42), (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)
_STRONGEST = 0.75


def write_thumbnails(out_dir: Path, cases: Sequence[Case], crops: Crops) -> None:
    """Write ``<case_id>.webp`` of every case that has a crop: the crop with the lesion's contour.

    Args:
        out_dir: ``attributions/thumbnails`` of the run.
        cases: Any number of them.
        crops: That hold the cases, or some of them.
    """
    for case in cases:
        if case.case_id in crops:
            image, mask = np.array(crops.array[crops.index(case.case_id)])
            _write(out_dir, case.case_id, _outlined(_colored(image), mask))


def write_overlay_thumbnail(
    out_dir: Path, case_id: str, *, image: NDArray[np.uint8], mask: NDArray[np.uint8], pixels: NDArray[np.float64]
) -> None:
    """Write ``<case_id>.webp``: the crop under an attribution, orange for the positive label and blue against it.

    Args:
        out_dir: ``attributions/thumbnails/overlays`` of the run.
        case_id: Of the file's name.
        image, mask: (n_px, n_px) crop and lesion coverage, 0..255.
        pixels: (n_px, n_px) attribution, in any unit; the scale is the case's own.
    """
    from scipy.ndimage import gaussian_filter

    # As fusion.explanation.overlay does, so that the small picture shows what the large one does.
    smooth = gaussian_filter(pixels, sigma=len(pixels) / 96)
    limit = float(np.quantile(np.abs(smooth), 0.995)) or 1.0
    share = (_STRONGEST * np.clip(np.abs(smooth) / limit, 0, 1))[..., None]
    color = np.where(smooth[..., None] > 0, np.array(_FOR), np.array(_AGAINST))
    mixed = (1 - share) * _colored(image) + share * color
    _write(out_dir, case_id, _outlined(mixed.round().astype(np.uint8), mask))


def _colored(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image[..., None], 3, axis=-1)


def _outlined(picture: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(_N_PX, _N_PX, 3); the contour is drawn after the picture got its size, or it would fade."""
    from PIL import Image
    from scipy.ndimage import binary_erosion

    small = np.array(Image.fromarray(picture).resize((_N_PX, _N_PX), Image.Resampling.LANCZOS))
    lesion = np.array(Image.fromarray(mask).resize((_N_PX, _N_PX), Image.Resampling.BILINEAR)) >= 128
    small[lesion & ~binary_erosion(lesion, border_value=1)] = _CONTOUR
    return small


def _write(out_dir: Path, case_id: str, picture: NDArray[np.uint8]) -> None:
    from PIL import Image

    # An id may hold what a file name may not.
    with atomic_path(out_dir / f"{quote(case_id, safe=' ')}.webp") as temporary:
        Image.fromarray(picture).save(temporary, format="WEBP", quality=_QUALITY)
