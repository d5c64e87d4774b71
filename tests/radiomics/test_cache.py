from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fusion.radiomics.cache import case_key, load_features, store_features
from fusion.radiomics.perturb import Perturbation
from fusion.records import Case

KEY = "0123" * 16
CASE = Case(
    case_id="1", patient_id="1", center="c", image=Path("image"), mask=Path("mask"), label=None, clinical={"age": 1.0}
)


def key_of(case: Case, radiomics: dict[str, Any], perturbation: Perturbation | None = None, **digests: str) -> str:
    def digest_of(path: Path) -> str:
        return digests.get(path.name, path.name)

    return case_key(case, radiomics=radiomics, perturbation=perturbation, digest_of=digest_of)


def test_features_come_back_bit_for_bit(tmp_path: Path) -> None:
    features = {"b": 0.1 + 0.2, "a": -1e-308, "nan": math.nan, "infinite": math.inf}
    store_features(tmp_path, KEY, features, versions={"numpy": "2"})
    found = load_features(tmp_path, KEY)
    assert found is not None
    assert list(found) == list(features)
    assert [value.hex() for value in found.values()] == [value.hex() for value in features.values()]


def test_nothing_is_found_where_nothing_was_stored(tmp_path: Path) -> None:
    assert load_features(tmp_path, KEY) is None


def entry_path(cache_dir: Path) -> Path:
    (path,) = (path for path in cache_dir.rglob("*") if path.is_file())
    return path


@pytest.mark.parametrize("n_bytes", [0, 1, 12, 40, -1])
def test_a_cut_entry_is_not_trusted(tmp_path: Path, n_bytes: int) -> None:
    store_features(tmp_path, KEY, {"a": 1.0}, versions={})
    path = entry_path(tmp_path)
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert load_features(tmp_path, KEY) is None


def test_no_changed_byte_gives_changed_values(tmp_path: Path) -> None:
    """Each byte in turn; the ten of gzip's header hold nothing that matters."""
    store_features(tmp_path, KEY, {"a": 1.0, "b": 2.0}, versions={})
    path = entry_path(tmp_path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        assert load_features(tmp_path, KEY) in (None, {"a": 1.0, "b": 2.0})
        assert position < 10 or load_features(tmp_path, KEY) is None


def test_an_entry_under_the_wrong_name_is_not_trusted(tmp_path: Path) -> None:
    store_features(tmp_path, KEY, {"a": 1.0}, versions={})
    other = KEY[:-1] + "f"
    path = entry_path(tmp_path)
    path.rename(path.with_name(f"{other[2:]}.json.gz"))
    assert load_features(tmp_path, other) is None


def test_the_key_follows_everything_that_the_values_depend_on(radiomics: dict[str, Any]) -> None:
    finer = copy.deepcopy(radiomics)
    finer["settings"]["setting"]["binWidth"] = 5
    keys = [
        key_of(CASE, radiomics),
        key_of(CASE, radiomics, image="changed"),
        key_of(CASE, radiomics, mask="changed"),
        key_of(replace(CASE, frame=1), radiomics),
        key_of(replace(CASE, mask_label=2), radiomics),
        key_of(CASE, finer),
        key_of(CASE, {**radiomics, "mode": "single_slice_3d"}),
        key_of(CASE, radiomics, Perturbation(kind="grow", size=0.05, seed=0, number=0)),
        key_of(CASE, radiomics, Perturbation(kind="grow", size=0.06, seed=0, number=0)),
        key_of(CASE, radiomics, Perturbation(kind="shrink", size=0.05, seed=0, number=0)),
        key_of(CASE, radiomics, Perturbation(kind="shift", size=0.05, seed=0, number=0)),
        key_of(CASE, radiomics, Perturbation(kind="shift", size=0.05, seed=1, number=0)),
        key_of(CASE, radiomics, Perturbation(kind="shift", size=0.05, seed=0, number=1)),
        # Drawn by case id.
        key_of(replace(CASE, case_id="2"), radiomics, Perturbation(kind="shift", size=0.05, seed=0, number=0)),
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_follows_nothing_else(radiomics: dict[str, Any]) -> None:
    elsewhere = replace(CASE, case_id="2", patient_id="2", label="malignant", clinical={}, image=Path("other/image"))
    slower = {**radiomics, "n_jobs": 7, "backend": "dask", "on_error": "leave_out"}
    assert key_of(elsewhere, slower) == key_of(CASE, radiomics)
    grow = Perturbation(kind="grow", size=0.05, seed=0, number=0)
    assert key_of(elsewhere, slower, replace(grow, seed=1, number=2)) == key_of(CASE, radiomics, grow)


def test_the_key_is_that_of_earlier_versions() -> None:
    """Else a cache that took hours is worth nothing after an update; count up the recipe where that is right."""
    plain = {"mode": "2d", "settings": {"setting": {"binWidth": 25}}}
    assert key_of(CASE, plain) == "4948cacdd614fd05ac83779bbc6d356313bb9b997e8a86b2deeee054305448bd"
