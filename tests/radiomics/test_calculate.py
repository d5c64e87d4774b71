from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.errors import FusionError
from fusion.radiomics.calculate import calculate_features

pytestmark = pytest.mark.usefixtures("pyradiomics")
BREAST = Path(__file__).parents[2] / "../shared/data/breast/images_and_masks"


def directly(pixels: NDArray[Any], mask: NDArray[np.bool_], *, mode: str, settings: dict[str, Any]) -> dict[str, float]:
    """PyRadiomics on the whole image, as its documentation says."""
    import SimpleITK
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    extra = (np.newaxis,) if mode == "single_slice_3d" else ()
    image = SimpleITK.GetImageFromArray(pixels.astype(np.float64)[extra])
    label = SimpleITK.GetImageFromArray(mask.astype(np.uint8)[extra])
    logger = logging.getLogger("radiomics")
    level = logger.level
    logger.setLevel(60)
    try:
        return dict(RadiomicsFeatureExtractor(copy.deepcopy(settings)).execute(image, label))
    finally:
        logger.setLevel(level)


def assert_same_bits(ours: dict[str, float], theirs: dict[str, float]) -> None:
    assert list(ours) == list(theirs)
    different = [name for name in theirs if np.float64(theirs[name]).tobytes() != np.float64(ours[name]).tobytes()]
    assert not different


# The schema's functions are loaded in a way that Python 3.12 no longer has.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
class TestEqualsPyRadiomicsCalledDirectly:
    @pytest.mark.parametrize(
        "setting",
        [
            {},
            {"preCrop": False},
            {"padDistance": 0},
            {"padDistance": 3},
            {"normalize": True, "normalizeScale": 100, "padDistance": 3},
            {"binCount": 16, "binWidth": None},
            {"binWidth": 7.5, "voxelArrayShift": 100, "distances": [1, 2], "weightingNorm": "manhattan"},
            {"resegmentRange": [10, 90]},
            {"resampledPixelSpacing": [2.0, 2.0], "padDistance": 3},
        ],
        ids=str,
    )
    def test_in_2d(self, lesion: Any, radiomics: dict[str, Any], setting: dict[str, Any]) -> None:
        pixels, mask = lesion
        settings = copy.deepcopy(radiomics["settings"])
        settings["setting"] = {k: v for k, v in {**settings["setting"], **setting}.items() if v is not None}
        settings["setting"].setdefault("resampledPixelSpacing", None)
        theirs = directly(pixels, mask, mode="2d", settings=settings)
        assert_same_bits(calculate_features(pixels, mask, mode="2d", settings=settings), theirs)

    def test_on_a_single_slice(self, lesion: Any, single_slice: dict[str, Any]) -> None:
        pixels, mask = lesion
        options = {"mode": "single_slice_3d", "settings": single_slice["settings"]}
        ours = calculate_features(pixels, mask, **options)
        assert_same_bits(ours, directly(pixels, mask, **options))
        assert len(ours) == 837
        assert "wavelet-LHH_glcm_SumEntropy" in ours

    @pytest.mark.parametrize("place", [np.s_[:9, :9], np.s_[20:30, 60:], np.s_[:, :]])
    def test_at_the_border(self, lesion: Any, radiomics: dict[str, Any], place: Any) -> None:
        """A lesion without background on one side, or on none."""
        pixels, mask = lesion[0], np.zeros_like(lesion[1])
        mask[place] = True
        options = {"mode": "2d", "settings": radiomics["settings"]}
        if mask.all():
            for extract in (directly, calculate_features):
                with pytest.raises(ValueError, match="No labels found"):
                    extract(pixels, mask, **options)
        else:
            assert_same_bits(calculate_features(pixels, mask, **options), directly(pixels, mask, **options))

    def test_on_a_box_without_margin(self, lesion: Any, radiomics: dict[str, Any]) -> None:
        """Cropped to it, the mask has no background left, which PyRadiomics would refuse."""
        pixels, mask = lesion[0], np.zeros_like(lesion[1])
        mask[20:40, 20:50] = True
        settings = copy.deepcopy(radiomics["settings"])
        settings["setting"]["padDistance"] = 0
        options = {"mode": "2d", "settings": settings}
        assert_same_bits(calculate_features(pixels, mask, **options), directly(pixels, mask, **options))

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_on_a_flat_image(self, lesion: Any, radiomics: dict[str, Any]) -> None:
        flat = np.full_like(lesion[0], 50)
        options = {"mode": "2d", "settings": radiomics["settings"]}
        assert_same_bits(calculate_features(flat, lesion[1], **options), directly(flat, lesion[1], **options))

    @pytest.mark.real_data
    @pytest.mark.skipif(not BREAST.is_dir(), reason="BrEaST is not beside the project")
    @pytest.mark.parametrize("number", [1, 87, 236])
    def test_on_breast(self, radiomics: dict[str, Any], number: int) -> None:
        from PIL import Image

        with Image.open(BREAST / f"case{number:03}.png") as image:
            pixels = np.asarray(image.convert("L"))
        with Image.open(BREAST / f"case{number:03}_tumor.png") as image:
            mask = np.asarray(image.convert("L")) > 0
        options = {"mode": "2d", "settings": radiomics["settings"]}
        ours = calculate_features(pixels, mask, **options)
        assert_same_bits(ours, directly(pixels, mask, **options))


def test_no_feature_is_dropped(lesion: Any, radiomics: dict[str, Any]) -> None:
    features = calculate_features(*lesion, mode="2d", settings=radiomics["settings"])
    assert len(features) == 753
    assert sum(name.startswith("log-sigma-") for name in features) == 3 * 93
    assert sum(name.startswith("wavelet-") for name in features) == 4 * 93
    assert sum("_shape2D_" in name for name in features) == 9
    assert all(np.isfinite(value) for value in features.values())


def test_bins_do_not_overflow_on_bright_bytes(lesion: Any, radiomics: dict[str, Any]) -> None:
    """Given 8-bit pixels near 255, PyRadiomics itself finds a single bin under numpy >= 2."""
    pixels, mask = lesion
    bright = pixels // 2 + 128
    assert bright.dtype == np.uint8
    features = calculate_features(bright, mask, mode="2d", settings=radiomics["settings"])
    n_in_bin = np.bincount(bright[mask] // 25)
    shares = n_in_bin[n_in_bin > 0] / mask.sum()
    assert len(shares) > 2
    assert features["original_firstorder_Entropy"] == pytest.approx(-(shares * np.log2(shares)).sum())


def test_an_image_too_small_for_a_filter_is_refused_not_shortened(lesion: Any, radiomics: dict[str, Any]) -> None:
    pixels, mask = (array[30:33, 20:50] for array in lesion)
    mask = mask.copy()
    mask[:, 0] = False
    with pytest.raises(FusionError, match=r"left out log-sigma-1-0-mm-3D_firstorder, .*too small"):
        calculate_features(pixels, mask, mode="2d", settings=radiomics["settings"])


def test_one_pixel_is_refused_in_pyradiomics_words(lesion: Any, radiomics: dict[str, Any]) -> None:
    mask = np.zeros_like(lesion[1])
    mask[30, 30] = True
    with pytest.raises(ValueError, match="mask only contains 1 segmented voxel"):
        calculate_features(lesion[0], mask, mode="2d", settings=radiomics["settings"])


def test_nothing_is_printed_or_logged(
    lesion: Any, radiomics: dict[str, Any], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    calculate_features(*lesion, mode="2d", settings=radiomics["settings"])
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
