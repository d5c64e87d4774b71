from __future__ import annotations

import copy
import sys
from typing import Any

import pytest

from fusion.errors import FusionError, InputError
from fusion.radiomics.settings import check_options, check_settings, image_names, require_pyradiomics

Config = dict[str, Any]


def change(config: Config, path: str, value: Any) -> Config:
    changed = copy.deepcopy(config)
    *folders, name = path.split(".")
    inner = changed
    for folder in folders:
        inner = inner[folder]
    inner[name] = value
    return changed


def test_shipped_settings_are_accepted(radiomics: Config, single_slice: Config, pyradiomics: None) -> None:
    for config in (radiomics, single_slice):
        check_options(config)
        check_settings(config["settings"])


def test_all_keys_are_checked_at_once(radiomics: Config) -> None:
    wrong = {**radiomics, "backnd": "loky", "mode": "3d", "on_error": "ignore", "n_jobs": 0}
    del wrong["backend"]
    with pytest.raises(InputError) as caught:
        check_options(wrong)
    text = str(caught.value)
    assert "5 problems" in text
    assert "radiomics.backnd: required one of backend, mode, n_jobs, on_error, settings, came an unknown key" in text
    assert "radiomics.backend: required a value, came nothing" in text
    assert "radiomics.mode: required one of 2d, single_slice_3d, came '3d'" in text
    assert "radiomics.on_error: required one of stop, leave_out, came 'ignore'" in text
    assert "radiomics.n_jobs" in text


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("settings.setting.binWdith", 25, "'binWdith' was not defined"),
        ("settings.setting.binWidth", "wide", "'wide' is not of type 'float'"),
        ("settings.featureClass.glmc", None, "glmc is not recognized"),
        ("settings.featureClass.glcm", ["Contrst"], "Contrst"),
        ("settings.imageType.Originl", {}, "Originl is not recognized"),
        ("settings.imageType.LoG", {"sigma": [1.0], "sgima": [2.0]}, "'sgima' was not defined"),
        ("settings.imageType.Wavelet", {"level": 1, "wavelet": "coif0"}, 'Wavelet "coif0" not available'),
    ],
)
def test_a_name_that_pyradiomics_does_not_know_is_refused(
    radiomics: Config, pyradiomics: None, path: str, value: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_settings(change(radiomics, path, value)["settings"])


def test_all_that_the_schema_objects_to_is_reported(radiomics: Config, pyradiomics: None) -> None:
    wrong = change(change(radiomics, "settings.setting.a", 1), "settings.setting.distances", [1.5])
    with pytest.raises(InputError, match="2 problems"):
        check_settings(wrong["settings"])


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("settings.setting.force2D", True, "setting.force2D"),
        ("settings.setting.label", 255, "setting.label"),
        ("settings.setting.additionalInfo", True, "setting.additionalInfo"),
        ("settings.featureClass.shape", None, "featureClass.shape"),
        ("settings.imageType.LBP3D", {"lbp3DLevels": 2}, "imageType.LBP3D"),
        ("settings.imageType.LoG", {}, "imageType.LoG.sigma: required a value"),
        ("settings.imageType", {}, "settings.imageType: required a mapping with something in it"),
        ("settings.voxelSetting", {"kernelRadius": 1}, "settings.voxelSetting"),
        ("settings", None, "radiomics.settings: required a mapping"),
    ],
)
def test_settings_that_fail_silently_in_2d_are_refused(radiomics: Config, path: str, value: Any, where: str) -> None:
    with pytest.raises(InputError, match=where):
        check_options(change(radiomics, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [("settings.imageType.LoG", {"sigma": [1.0]}), ("settings.featureClass.shape2D", None)],
)
def test_settings_that_are_skipped_on_a_single_slice_are_refused(single_slice: Config, path: str, value: Any) -> None:
    with pytest.raises(InputError, match=path.removeprefix("settings.")):
        check_options(change(single_slice, path, value))


@pytest.mark.parametrize("name", ["label", "preCrop", "padDistance", "normalize", "force2D"])
def test_what_is_read_here_must_be_spelled_out(radiomics: Config, name: str) -> None:
    wrong = copy.deepcopy(radiomics)
    del wrong["settings"]["setting"][name]
    with pytest.raises(InputError, match=rf"setting\.{name}: required a value, came nothing"):
        check_options(wrong)


def test_image_names_are_those_of_pyradiomics(radiomics: Config, single_slice: Config) -> None:
    assert set(image_names(radiomics["settings"], mode="2d")) == {
        "original",
        "wavelet-LH",
        "wavelet-HL",
        "wavelet-HH",
        "wavelet-LL",
        "log-sigma-1-0-mm-3D",
        "log-sigma-3-0-mm-3D",
        "log-sigma-5-0-mm-3D",
    }
    names = image_names(single_slice["settings"], mode="single_slice_3d")
    assert len(names) == 9
    assert "wavelet-LHH" in names


def test_further_wavelet_levels_keep_only_the_last_approximation(radiomics: Config) -> None:
    two_levels = change(radiomics, "settings.imageType", {"Wavelet": {"level": 2}})["settings"]
    assert set(image_names(two_levels, mode="2d")) == {
        "wavelet-LH",
        "wavelet-HL",
        "wavelet-HH",
        "wavelet2-LH",
        "wavelet2-HL",
        "wavelet2-HH",
        "wavelet2-LL",
    }


def test_an_absent_pyradiomics_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radiomics", None)
    with pytest.raises(FusionError, match=r"`fusion extract` once in a Python 3\.11 environment"):
        require_pyradiomics()


def test_another_pyradiomics_is_refused(monkeypatch: pytest.MonkeyPatch, pyradiomics: None) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "3.1.0")
    with pytest.raises(FusionError, match=r"requires PyRadiomics 3\.0\.1, came 3\.1\.0"):
        require_pyradiomics()
