from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusion.radiomics.speed import _nanmean, _percentiles_at_once, without_repeated_work

pytestmark = pytest.mark.usefixtures("pyradiomics")


def n_itk_threads() -> int:
    import SimpleITK

    filters: Any = SimpleITK.ProcessObject
    n_threads: int = filters.GetGlobalDefaultNumberOfThreads()
    return n_threads


def modules() -> dict[str, dict[str, Any]]:
    from radiomics import base, firstorder, getFeatureClasses, glcm, glrlm, imageoperations

    owners = [imageoperations, firstorder, glcm, glrlm, base.RadiomicsFeaturesBase, *getFeatureClasses().values()]
    return {repr(owner): dict(vars(owner)) for owner in owners}


def test_pyradiomics_is_as_before_after_the_block() -> None:
    before, n_threads = modules(), n_itk_threads()
    with without_repeated_work():
        inside = modules()
        assert n_itk_threads() == 1
    assert inside != before
    assert modules() == before
    assert n_itk_threads() == n_threads


def test_pyradiomics_is_as_before_after_an_error() -> None:
    before = modules()
    with pytest.raises(ZeroDivisionError), without_repeated_work():
        raise ZeroDivisionError
    assert modules() == before


def test_the_image_is_discretized_once(lesion: Any, monkeypatch: pytest.MonkeyPatch, radiomics: Any) -> None:
    from radiomics import imageoperations

    from fusion.radiomics.calculate import calculate_features

    n_calls = 0
    bin_image = imageoperations.binImage

    def count(*args: Any, **kwargs: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        return bin_image(*args, **kwargs)

    monkeypatch.setattr(imageoperations, "binImage", count)
    pixels, mask = lesion
    calculate_features(pixels.astype(np.float32), mask, mode="2d", settings=radiomics["settings"])
    assert n_calls == 8


def test_the_discretized_image_is_not_shared_between_settings(radiomics: Any, lesion: Any) -> None:
    """Two image types of one filtered image object differ only in their bin width."""
    import SimpleITK
    from radiomics.glcm import RadiomicsGLCM

    image, mask = (
        SimpleITK.GetImageFromArray(array.astype(dtype)) for array, dtype in zip(lesion, (float, int), strict=True)
    )
    with without_repeated_work():
        levels = [RadiomicsGLCM(image, mask, binWidth=width).coefficients["Ng"] for width in (25, 5)]
    assert levels[1] > 3 * levels[0]


ARRAYS = {
    "normal": np.random.default_rng(0).normal(size=(1, 1001)),
    "few": np.array([[3.0, 1.0, 2.0]]),
    "with NaN": np.array([[3.0, np.nan, 2.0, 8.0]]),
    "only NaN": np.full((1, 4), np.nan),
    "opposite infinities": np.array([[np.inf, -np.inf, 2.0]]),
    "angles": np.random.default_rng(1).normal(size=(1, 4)),
}


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_shortcuts_give_every_bit_of_numpys_own(array: Any) -> None:
    for keepdims in (False, True):
        assert _nanmean(array, 1, keepdims=keepdims).tobytes() == np.nanmean(array, 1, keepdims=keepdims).tobytes()
    nanpercentile = _percentiles_at_once()
    for percentile in (10, 90, 75, 25, 10, 33):
        expected = np.nanpercentile(array, percentile, axis=1)
        assert np.asarray(nanpercentile(array, percentile, axis=1)).tobytes() == expected.tobytes()


def test_percentiles_of_another_array_are_its_own() -> None:
    nanpercentile = _percentiles_at_once()
    first, second = np.array([[1.0, 2.0, 3.0]]), np.array([[4.0, 5.0, 6.0]])
    assert nanpercentile(first, 90, axis=1) < 3 < nanpercentile(second, 10, axis=1)
