from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from fusion.errors import FusionError, InputError
from fusion.imaging import lesion as lesion_module
from fusion.radiomics.extract import extract_features
from fusion.radiomics.icc import intraclass_correlation
from fusion.radiomics.perturb import Perturbation
from fusion.radiomics.stability import COLUMNS, Stability, check_stability, measure_again, measure_stability
from fusion.records import Case

ROOT = Path(__file__).parents[2]
BREAST = ROOT / "../shared/data/breast"

Config = dict[str, Any]
MakeCases = Callable[[int], list[Case]]


def option(name: str, **changes: Any) -> Config:
    return {**yaml.safe_load((ROOT / f"conf/stability/{name}.yaml").read_text()), **changes}


@pytest.fixture
def measure(tmp_path: Path, original_only: Config) -> Callable[..., Stability | None]:
    def run(cases: list[Case], stability: Config, radiomics: Config = original_only) -> Stability | None:
        return measure_stability(cases, radiomics=radiomics, stability=stability, cache_dir=tmp_path / "cache")

    return run


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


def with_second_masks(cases: list[Case], n_cases: int, move: int) -> list[Case]:
    """The first cases get an outline of a second reader, who draws everything further to the right."""
    drawn = []
    for case in cases[:n_cases]:
        assert case.mask is not None
        path = case.mask.with_name(f"{case.case_id}.second.png")
        with Image.open(case.mask) as image:
            Image.fromarray(np.roll(np.asarray(image), move, axis=1)).save(path)
        drawn.append(replace(case, second_mask=path))
    return [*drawn, *cases[n_cases:]]


@pytest.mark.usefixtures("pyradiomics")
class TestPerturbation:
    def test_it_is_the_icc_of_the_perturbed_lesions(
        self, tmp_path: Path, measure: Any, make_cases: MakeCases, original_only: Config
    ) -> None:
        from fusion.radiomics.calculate import calculate_features

        cases = make_cases(5)
        entries = [{"kind": "grow", "size": 0.1}, {"kind": "roughen", "size": 0.2}]
        found = measure(cases, option("perturbation", perturbations=entries, min_icc=0.2))
        values = []
        for case in cases:
            lesion = lesion_module.read_lesion(case)
            masks = [lesion.mask]
            for entry in entries:
                perturbation = Perturbation(kind=str(entry["kind"]), size=float(entry["size"]), seed=0, number=0)  # type: ignore[arg-type]
                masks.append(perturbation.apply(lesion.mask, case.case_id))
            assert (masks[0] != masks[1]).any()
            values.append(
                [
                    list(
                        calculate_features(lesion.pixels, mask, mode="2d", settings=original_only["settings"]).values()
                    )
                    for mask in masks
                ]
            )
        expected = intraclass_correlation(np.array(values), form="2,1")
        assert found.agreement.icc.tolist() == expected.icc.tolist()
        assert (found.n_cases, found.n_measurements) == (5, 3)
        assert found.kept.tolist() == (expected.icc >= 0.2).tolist()
        assert 0 < found.kept.sum() < len(found.kept)

    def test_the_table_says_what_was_kept(self, measure: Any, make_cases: MakeCases) -> None:
        found = measure(make_cases(4), option("perturbation", min_icc=0.5))
        table = [dict(zip(COLUMNS, row, strict=True)) for row in found.rows()]
        assert len(table) == 18
        assert tuple(row["feature"] for row in table if row["kept"]) == found.features
        for row in table:
            assert row["kept"] is (row["icc"] >= 0.5)
            assert np.isnan(row["icc"]) or row["ci_low"] <= row["icc"] <= row["ci_high"]

    def test_harder_perturbations_keep_less(self, measure: Any, make_cases: MakeCases) -> None:
        cases = make_cases(6)
        icc = {}
        for size in (0.01, 0.25):
            entries = [{"kind": "shift", "size": size}, {"kind": "shift", "size": size}]
            icc[size] = measure(cases, option("perturbation", perturbations=entries, min_icc=-1.0)).agreement.icc
        assert np.nanmean(icc[0.25]) < np.nanmean(icc[0.01]) - 0.2

    def test_other_folds_find_what_was_extracted(
        self, measure: Any, make_cases: MakeCases, computed: list[str]
    ) -> None:
        cases = make_cases(5)
        config = option("perturbation", min_icc=0.1)
        first = measure(cases[:4], config)
        assert len(computed) == 4 * 5
        computed.clear()
        measure(cases[1:], config)
        assert computed == ["04"] * 5
        computed.clear()
        again = measure(cases[:4], config)
        assert computed == []
        assert again.rows() == first.rows()

    def test_cases_that_are_not_given_change_nothing(self, tmp_path: Path, measure: Any, make_cases: MakeCases) -> None:
        cases = make_cases(6)
        before = measure(cases[:4], option("perturbation", min_icc=0.1))
        for case in cases[4:]:
            assert case.image is not None
            case.image.write_bytes(b"no image")
        assert measure(cases[:4], option("perturbation", min_icc=0.1)).rows() == before.rows()

    def test_the_cache_follows_kind_size_seed_and_repetition(
        self, measure: Any, make_cases: MakeCases, computed: list[str]
    ) -> None:
        cases = make_cases(2)
        shift, config = {"kind": "shift", "size": 0.1}, option("perturbation", min_icc=-2.0)
        steps: list[tuple[Config, int]] = [
            ({"perturbations": [shift]}, 2 * 2),
            ({"perturbations": [shift, shift]}, 2),
            ({"perturbations": [shift, {"kind": "shift", "size": 0.11}]}, 2),
            ({"perturbations": [{"kind": "roughen", "size": 0.1}, shift]}, 2),
            ({"perturbations": [shift], "seed": 1}, 2),
            ({"perturbations": [{"kind": "grow", "size": 0.1}]}, 2),
            ({"perturbations": [{"kind": "grow", "size": 0.1}], "seed": 1}, 0),
            ({"perturbations": [shift], "icc": "3,1", "min_icc": -1.5}, 0),
        ]
        for changes, n_computed in steps:
            computed.clear()
            measure(cases, {**config, **changes})
            assert len(computed) == n_computed, changes

    def test_plain_features_are_found_under_the_key_that_they_had(
        self, tmp_path: Path, make_cases: MakeCases, original_only: Config, measure: Any
    ) -> None:
        cases = make_cases(2)
        before = extract_features(cases, radiomics=original_only, cache_dir=tmp_path / "cache")
        measure(cases, option("perturbation", min_icc=-2.0))
        after = extract_features(cases, radiomics=original_only, cache_dir=tmp_path / "cache")
        assert after.values.tobytes() == before.values.tobytes()

    def test_a_limit_takes_the_same_cases_in_every_fold(
        self, measure: Any, make_cases: MakeCases, computed: list[str]
    ) -> None:
        cases = make_cases(8)
        config = option("perturbation", n_cases=3, min_icc=-2.0)
        found = measure(cases, config)
        assert found.n_cases == 3
        chosen = {*computed}
        assert len(chosen) == 3
        # Without a case that was not chosen, the same ones are.
        spare = next(case for case in cases if case.case_id not in chosen)
        computed.clear()
        assert measure([case for case in cases if case is not spare], config).rows() == found.rows()
        assert computed == []
        measure(cases, {**config, "seed": 5})
        assert {*computed} != chosen

    def test_an_outline_that_pyradiomics_refuses_leaves_its_case_out(
        self, measure: Any, make_cases: MakeCases, caplog: pytest.LogCaptureFixture
    ) -> None:
        cases = make_cases(5)
        assert cases[0].mask is not None
        tiny = np.zeros((61, 74), dtype=np.uint8)
        tiny[30:33, 30:33] = 255
        Image.fromarray(tiny).save(cases[0].mask)
        found = measure(cases, option("perturbation", min_icc=-2.0))
        assert found.n_cases == 4
        assert "case 00, outline perturbed by shrink 0.05: required radiomics features" in caplog.text
        assert "the case is left out of the measure of stability" in caplog.text

    def test_a_case_that_cannot_be_read_stops_the_run(self, measure: Any, make_cases: MakeCases) -> None:
        cases = make_cases(3)
        assert cases[1].image is not None
        cases[1].image.write_bytes(b"no image")
        with pytest.raises(InputError, match="case 01: required radiomics features"):
            measure(cases, option("perturbation"))

    def test_a_feature_that_does_not_vary_is_dropped_and_counted(
        self, measure: Any, make_cases: MakeCases, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        from radiomics.firstorder import RadiomicsFirstOrder

        monkeypatch.setattr(RadiomicsFirstOrder, "getEnergyFeatureValue", lambda self: np.array([2.0]))
        caplog.set_level(logging.INFO)
        found = measure(make_cases(4), option("perturbation", min_icc=0.1))
        energy = dict(zip(found.names, found.agreement.icc.tolist(), strict=True))["original_firstorder_Energy"]
        assert np.isnan(energy)
        assert "original_firstorder_Energy" not in found.features
        assert f"; {np.isnan(found.agreement.icc).sum()} do not vary and are dropped" in caplog.text

    def test_no_stable_feature_is_an_error(self, measure: Any, make_cases: MakeCases) -> None:
        entries = [{"kind": "shift", "size": 0.25}] * 2
        with pytest.raises(FusionError, match=r"min_icc: required features .* of 0\.999 or more, came none of 18"):
            measure(make_cases(4), option("perturbation", perturbations=entries, min_icc=0.999))

    def test_a_single_case_is_an_error(self, measure: Any, make_cases: MakeCases) -> None:
        with pytest.raises(FusionError, match=r"required two or more training cases .* came 1"):
            measure(make_cases(1), option("perturbation"))


@pytest.mark.usefixtures("pyradiomics")
class TestReaders:
    def test_it_is_the_icc_of_both_outlines_of_the_cases_that_have_them(
        self, tmp_path: Path, measure: Any, make_cases: MakeCases, original_only: Config
    ) -> None:
        cases = with_second_masks(make_cases(6), 4, move=5)
        found = measure(cases, option("readers", min_icc=-2.0))
        second = [replace(case, mask=case.second_mask) for case in cases[:4]]
        tables = [
            extract_features(part, radiomics=original_only, cache_dir=tmp_path / "other")
            for part in (cases[:4], second)
        ]
        expected = intraclass_correlation(np.stack([table.values for table in tables], axis=1), form="2,1")
        assert found.agreement.icc.tolist() == expected.icc.tolist()
        assert (found.n_cases, found.n_measurements) == (4, 2)

    def test_readers_who_agree_agree(self, measure: Any, make_cases: MakeCases) -> None:
        found = measure(with_second_masks(make_cases(4), 4, move=0), option("readers"))
        assert found.kept.sum() == np.isfinite(found.agreement.icc).sum() > 10

    def test_no_second_outline_is_an_error(self, measure: Any, make_cases: MakeCases) -> None:
        with pytest.raises(
            FusionError, match=r"second reader's outline of some training cases, came none of 3; .*cohort\.second_mask"
        ):
            measure(make_cases(3), option("readers"))

    def test_a_second_outline_that_does_not_fit_is_an_error(self, measure: Any, make_cases: MakeCases) -> None:
        cases = with_second_masks(make_cases(3), 3, move=2)
        assert cases[0].second_mask is not None
        Image.fromarray(np.ones((5, 5), dtype=np.uint8)).save(cases[0].second_mask)
        with pytest.raises(InputError, match=r"case 00: required radiomics features, came .*00\.second\.png"):
            measure(cases, option("readers"))


def test_none_measures_nothing(measure: Any, make_cases: MakeCases) -> None:
    assert measure(make_cases(2), option("none")) is None


def test_without_any_lesion_there_is_nothing_to_measure(measure: Any, make_cases: MakeCases) -> None:
    assert measure([replace(case, mask=None) for case in make_cases(2)], option("perturbation")) is None


def test_all_wrong_options_are_named_at_once() -> None:
    broken = option(
        "perturbation",
        icc="1,1",
        min_icc=1.0,
        n_cases=1,
        perturbations=[{"kind": "bend", "size": 0.1}, {"kind": "grow", "size": 0.5}, {"kind": "grow"}],
    )
    before = copy.deepcopy(broken)
    with pytest.raises(InputError) as raised:
        check_stability(broken)
    text = str(raised.value)
    assert "Stability: 6 problems" in text
    for part in ("stability.icc: required one of '2,1', '3,1', came '1,1'", "entry 1", "entry 2", "entry 3", "n_cases"):
        assert part in text
    assert broken == before
    with pytest.raises(InputError, match="perturbations: required one or more, came none"):
        check_stability(option("perturbation", perturbations=[]))


@pytest.mark.parametrize("name", ["none", "perturbation", "readers"])
def test_the_shipped_options_are_right(name: str) -> None:
    check_stability(option(name))


@pytest.mark.real_data
@pytest.mark.usefixtures("pyradiomics")
def test_real_lesions(tmp_path: Path, original_only: Config, compose: Any) -> None:
    if not BREAST.is_dir():
        pytest.skip("the cohort is not at ../shared/data/breast")
    from fusion.cohorts.load import load_cohort

    config = compose(["cohort=breast", f"cohort.root={BREAST.resolve()}"])
    cohort = load_cohort(config["cohort"], cache_dir=tmp_path, require_labels=True)
    radiomics = copy.deepcopy(original_only)
    radiomics["settings"]["featureClass"] = {"firstorder": None, "shape2D": None}
    entries = [{"kind": kind, "size": 0.05} for kind in ("grow", "shrink", "shift")]
    given: Any = {
        "radiomics": radiomics,
        "stability": option("perturbation", perturbations=entries),
        "cache_dir": tmp_path / "cache",
    }
    tables = measure_again(cohort.cases[:4], **given)
    found = measure_stability(cohort.cases[:4], **given)
    assert found is not None
    icc = dict(zip(found.names, found.agreement.icc.tolist(), strict=True))
    area = [table.values[:, table.names.index("original_shape2D_PixelSurface")] for table in tables]
    own, grown, shrunk, shifted = area
    assert (shrunk < own).all()
    assert (own < grown).all()
    assert shifted == pytest.approx(own)
    assert icc["original_firstorder_Mean"] > 0.8
    assert icc["original_shape2D_PixelSurface"] > 0.8
