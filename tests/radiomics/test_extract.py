from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion.errors import FusionError, InputError
from fusion.imaging import lesion as lesion_module
from fusion.radiomics import calculate
from fusion.radiomics.extract import extract_features
from fusion.records import Case, FeatureTable

Config = dict[str, Any]
MakeCases = Callable[[int], list[Case]]


@pytest.fixture
def extract(tmp_path: Path) -> Callable[[list[Case], Config], FeatureTable]:
    return lambda cases, config: extract_features(cases, radiomics=config, cache_dir=tmp_path / "cache")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the cases that are read, one after the other."""
    ids: list[str] = []
    read = lesion_module.read_lesion

    def read_and_note(case: Case) -> Any:
        ids.append(case.case_id)
        return read(case)

    monkeypatch.setattr(lesion_module, "read_lesion", read_and_note)
    return ids


def entries(folder: Path) -> list[Path]:
    # A process that is killed leaves the one that it was writing under a hidden name.
    return sorted(path for path in folder.rglob("*.json.gz") if not path.name.startswith("."))


def cover_one_pixel(case: Case) -> None:
    assert case.mask is not None
    with Image.open(case.mask) as image:
        mask = np.zeros_like(np.asarray(image))
    mask[5, 5] = 255
    Image.fromarray(mask).save(case.mask)


@pytest.mark.usefixtures("pyradiomics")
class TestWithPyRadiomics:
    def test_rows_are_the_cases_with_image_and_mask(
        self, extract: Any, make_cases: MakeCases, radiomics: Config
    ) -> None:
        first, second, third, fourth = make_cases(4)
        cases = [third, replace(first, mask=None), replace(second, image=None, mask=None), fourth]
        table = extract(cases, radiomics)
        assert table.case_ids == ("02", "03")
        assert len(table.names) == 753
        lesion = lesion_module.read_lesion(fourth)
        direct = calculate.calculate_features(lesion.pixels, lesion.mask, mode="2d", settings=radiomics["settings"])
        assert table.names == tuple(direct)
        assert table.values[1].tolist() == list(direct.values())

    def test_a_second_run_decodes_nothing(
        self, extract: Any, make_cases: MakeCases, original_only: Config, computed: list[str]
    ) -> None:
        cases = make_cases(3)
        first = extract(cases, original_only)
        assert computed == ["00", "01", "02"]
        second = extract(cases[::-1], original_only)
        assert len(computed) == 3
        assert second.case_ids == ("02", "01", "00")
        assert np.array_equal(second.values[::-1], first.values)

    def test_only_what_changed_is_computed_again(
        self, tmp_path: Path, extract: Any, make_cases: MakeCases, original_only: Config, computed: list[str]
    ) -> None:
        cases = make_cases(3)
        before = extract(cases, original_only)
        assert cases[1].mask is not None
        assert cases[2].mask is not None
        cases[1].mask.write_bytes(cases[2].mask.read_bytes())
        computed.clear()
        after = extract(cases, original_only)
        assert computed == ["01"]
        assert not np.array_equal(after.values[1], before.values[1])

    def test_a_damaged_entry_is_computed_again(
        self, tmp_path: Path, extract: Any, make_cases: MakeCases, original_only: Config, computed: list[str]
    ) -> None:
        cases = make_cases(3)
        before = extract(cases, original_only)
        damaged = entries(tmp_path / "cache")[0]
        damaged.write_bytes(damaged.read_bytes()[:50])
        computed.clear()
        after = extract(cases, original_only)
        assert len(computed) == 1
        assert after.values.tobytes() == before.values.tobytes()

    def test_failed_cases_stop_the_run_together_after_the_others_were_kept(
        self, tmp_path: Path, extract: Any, make_cases: MakeCases, original_only: Config
    ) -> None:
        cases = make_cases(4)
        cover_one_pixel(cases[0])
        assert cases[2].image is not None
        cases[2].image.write_bytes(b"no image")
        with pytest.raises(InputError) as caught:
            extract(cases, original_only)
        text = str(caught.value)
        assert text.startswith("Radiomics extraction: 2 problems")
        assert "case 00: required radiomics features, came ValueError: mask only contains 1 segmented voxel!" in text
        assert "case 02: required radiomics features, came" in text
        assert "02.png" in text
        assert "radiomics.on_error=leave_out" in text
        assert len(entries(tmp_path / "cache")) == 2

    def test_failed_cases_are_left_out_with_a_warning(
        self, extract: Any, make_cases: MakeCases, original_only: Config, caplog: pytest.LogCaptureFixture
    ) -> None:
        cases = make_cases(3)
        cover_one_pixel(cases[0])
        cases[1] = replace(cases[1], image=Path("nowhere.png"))
        table = extract(cases, {**original_only, "on_error": "leave_out"})
        assert table.case_ids == ("02",)
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
        assert "case 01: required radiomics features, came FileNotFoundError" in caplog.text
        assert "case 00: required radiomics features, came ValueError: mask only contains 1" in caplog.text

    def test_leaving_out_every_case_is_an_error(
        self, extract: Any, make_cases: MakeCases, original_only: Config
    ) -> None:
        cases = make_cases(1)
        cover_one_pixel(cases[0])
        with pytest.raises(InputError, match="1 problem"):
            extract(cases, {**original_only, "on_error": "leave_out"})

    def test_a_feature_that_cannot_be_calculated_is_missing(
        self, extract: Any, make_cases: MakeCases, original_only: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from radiomics.firstorder import RadiomicsFirstOrder

        def fail(self: Any) -> float:
            raise ZeroDivisionError

        monkeypatch.setattr(RadiomicsFirstOrder, "getEnergyFeatureValue", fail)
        cases = make_cases(1)
        for _ in ("computed", "found"):
            table = extract(cases, original_only)
            values = dict(zip(table.names, table.values[0], strict=True))
            assert math.isnan(values["original_firstorder_Energy"])
            assert math.isfinite(values["original_firstorder_Mean"])

    def test_a_typing_error_in_the_settings_stops_before_any_work(
        self, extract: Any, make_cases: MakeCases, original_only: Config, computed: list[str]
    ) -> None:
        setting = {**original_only["settings"]["setting"], "binWdith": 25}
        with pytest.raises(InputError, match="'binWdith' was not defined"):
            extract(make_cases(2), {**original_only, "settings": {**original_only["settings"], "setting": setting}})
        assert computed == []

    def test_a_run_that_is_killed_is_taken_up_where_it_was(
        self,
        tmp_path: Path,
        extract: Any,
        make_cases: MakeCases,
        start_extraction: Any,
        radiomics: Config,
        computed: list[str],
    ) -> None:
        cases, cache_dir = make_cases(25), tmp_path / "cache"
        process = start_extraction(radiomics, cache_dir)
        while len(entries(cache_dir)) < 3 and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.communicate()
        n_kept = len(entries(cache_dir))
        assert 3 <= n_kept < 25
        table = extract(cases, radiomics)
        assert len(computed) == 25 - n_kept
        assert table.case_ids == tuple(case.case_id for case in cases)
        kept = [path.name for path in cache_dir.rglob("*") if path.suffix == ".gz" and not path.name.startswith(".")]
        assert len(kept) == 25

    def test_two_processes_share_a_cache(
        self, tmp_path: Path, make_cases: MakeCases, start_extraction: Any, radiomics: Config
    ) -> None:
        make_cases(6)
        processes = [start_extraction(radiomics, tmp_path / "cache") for _ in range(2)]
        outputs = [process.communicate(timeout=120)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        first, second = map(json.loads, outputs)
        assert first == second
        assert first["n"] == 753
        files = [path for path in (tmp_path / "cache").rglob("*") if path.suffix == ".gz"]
        assert sorted(files) == entries(tmp_path / "cache")
        assert len(files) == 6

    def test_without_pyradiomics_a_full_cache_is_enough(
        self, extract: Any, make_cases: MakeCases, original_only: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cases = make_cases(2)
        table = extract(cases, original_only)
        for name in ("radiomics", "SimpleITK", "pywt", "pykwalify"):
            monkeypatch.setitem(sys.modules, name, None)
        again = extract(cases, original_only)
        assert again.names == table.names
        assert again.values.tobytes() == table.values.tobytes()


def test_without_pyradiomics_a_missing_entry_is_an_error_of_one_line(
    extract: Any, make_cases: MakeCases, original_only: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "radiomics", None)
    with pytest.raises(FusionError, match=r"requires PyRadiomics.*Python 3\.11 environment") as caught:
        extract(make_cases(1), original_only)
    assert "\n" not in str(caught.value)


def test_a_cohort_without_masks_has_no_features(extract: Any, make_cases: MakeCases, original_only: Config) -> None:
    table = extract([replace(case, mask=None) for case in make_cases(2)], original_only)
    assert table.case_ids == ()
    assert table.values.shape == (0, 0)
