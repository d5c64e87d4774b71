"""PyRadiomics on one lesion: the only file that touches its extractor."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError
from fusion.radiomics.settings import image_names, require_pyradiomics
from fusion.radiomics.speed import without_repeated_work

# PyRadiomics is changed and silenced while it runs, which two threads of a Dask worker must not do at once.
_ONE_AT_A_TIME = threading.Lock()
_SILENT = logging.CRITICAL + 10


def calculate_features(
    pixels: NDArray[np.float32], mask: NDArray[np.bool_], *, mode: str, settings: Mapping[str, Any]
) -> dict[str, float]:
    """Features of one lesion, bit for bit those of PyRadiomics called directly with the same settings.

    PyRadiomics is given double precision. On 8-bit pixels its binning overflows under numpy >= 2 without a word
    (``maximum + 2 * binWidth`` stays an unsigned byte), and single precision would round the wavelet bands.

    Args:
        pixels: (H, W) gray values, usually in [0, 255].
        mask: (H, W) true in the lesion.
        mode: ``2d``, or ``single_slice_3d`` for an image of one slice in three dimensions.
        settings: In PyRadiomics' own schema, checked before.

    Returns:
        Values by PyRadiomics' names in its order. Lengths and areas are in pixels. A feature that PyRadiomics cannot
        calculate for this lesion is NaN.

    Raises:
        FusionError: Where PyRadiomics is absent, or silently leaves out an image type or class that was asked for.
        ValueError: PyRadiomics' own, where it refuses the mask.
    """
    require_pyradiomics()
    import SimpleITK

    setting = settings["setting"]
    crops_first = _crops_first(setting) and bool(mask.any())
    rows, columns = _box(mask, setting["padDistance"]) if crops_first else (slice(None), slice(None))
    arrays = pixels[rows, columns].astype(np.float64), mask[rows, columns].astype(np.uint8)
    if mode == "single_slice_3d":
        arrays = arrays[0][np.newaxis], arrays[1][np.newaxis]
    with _ONE_AT_A_TIME, _quiet(), without_repeated_work():
        extractor = _extractor(
            json.dumps({**settings, "setting": {**setting, "preCrop": setting["preCrop"] and not crops_first}})
        )
        found = extractor.execute(*(SimpleITK.GetImageFromArray(array) for array in arrays))
    features = {name: float(value) for name, value in found.items()}
    _refuse_left_out(features, mode, settings)
    return features


@cache
def library_versions() -> dict[str, str]:
    """Versions of what the values came from, kept beside them."""
    return {name: metadata.version(name) for name in ("pyradiomics", "numpy", "SimpleITK", "PyWavelets")}


@lru_cache(maxsize=4)
def _extractor(settings: str) -> Any:
    """One extractor per process and settings (as JSON): making one validates the whole schema again."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    # Its validator tells everybody when the settings are right.
    logging.getLogger("pykwalify").setLevel(logging.ERROR)
    return RadiomicsFeatureExtractor(json.loads(settings))


def _crops_first(setting: Mapping[str, Any]) -> bool:
    """Whether cropping is the first thing PyRadiomics would do; then it is done here, at a tenth of the cost.

    Not without a margin: PyRadiomics refuses a mask without background before it crops.
    """
    untouched = not setting["normalize"] and setting["resampledPixelSpacing"] is None
    return bool(setting["preCrop"] and setting["padDistance"] > 0 and untouched)


def _box(mask: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
    )


def _refuse_left_out(features: Mapping[str, float], mode: str, settings: Mapping[str, Any]) -> None:
    """PyRadiomics skips what does not fit the image with no more than a log line; the table would lose columns."""
    wanted = [
        f"{image}_{feature_class}"
        for feature_class in settings["featureClass"]
        for image in (["original"] if feature_class.startswith("shape") else image_names(settings, mode=mode))
    ]
    present = {name.rpartition("_")[0] for name in features}
    left_out = [group for group in wanted if group not in present]
    if left_out:
        raise FusionError(f"PyRadiomics left out {', '.join(left_out)}: the lesion's image is too small for it")


@contextmanager
def _quiet() -> Iterator[None]:
    """PyRadiomics logs a line per image and feature, and numpy warns wherever a flat region divides by zero."""
    # PyRadiomics sets its logger's level when it is first imported, so that comes before silencing it.
    import radiomics  # noqa: F401 -- for what importing it does
    import SimpleITK

    filters: Any = SimpleITK.ProcessObject
    logger = logging.getLogger("radiomics")
    level, displayed = logger.level, filters.GetGlobalWarningDisplay()
    logger.setLevel(_SILENT)
    filters.GlobalWarningDisplayOff()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        filters.SetGlobalWarningDisplay(displayed)
