from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion.cohorts.simulation.settings import read_settings
from fusion.errors import InputError

DEFAULT = yaml.safe_load((Path(__file__).parents[3] / "conf" / "cohort" / "phantom.yaml").read_text())["simulation"]
DESIGN = {name: {"n": 60, "positive": 20} for name in DEFAULT["centers"]}


def changed(path: str, value: Any) -> dict[str, Any]:
    settings = deepcopy(DEFAULT)
    *parents, last = path.split(".")
    block = settings
    for name in parents:
        block = block[name]
    block[last] = value
    return settings


def test_the_default_is_read_whole() -> None:
    settings = read_settings(DEFAULT)
    assert settings.n_patients == DEFAULT["n_patients"]
    assert settings.centers["west"].probe.focus_mm == 14.0
    assert [layer.name for layer in settings.tissue.layers] == ["skin", "fat", "gland", "muscle", "deep"]
    assert settings.lesion.lobes == (3, 11)


def test_a_design_s_prevalences_are_its_own() -> None:
    centers = {name: center["prevalence"] for name, center in DEFAULT["centers"].items()}
    assert read_settings(DEFAULT).prevalences == centers
    assert read_settings(changed("design", DESIGN)).prevalences == dict.fromkeys(centers, 1 / 3)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("n_patients", 0, "simulation.n_patients: required at least 1, came 0"),
        ("labels", ["a", "a"], "two different names"),
        ("centers.north.prevalence", 1.0, "simulation.centers.north.prevalence: required a value between 0 and 1"),
        ("centers.east.probe.frequency_mhz", 40.0, "simulation.centers.east.probe.frequency_mhz"),
        ("lesion.layer", "liver", "one of skin, fat, gland, muscle, deep, came liver"),
        ("lesion.length_mm", [9, 60], "simulation.lesion.length_mm: required below"),
        ("lesion.scatterers_per_mm2", [0, 5], "simulation.lesion.scatterers_per_mm2: required above 0"),
        ("tissue.scatterers_per_mm2", 1e6, "simulation.tissue.scatterers_per_mm2: required above 0 and at most"),
        ("numbers.age.loading", 1.5, "simulation.numbers.age.loading: required a value from -1 to 1"),
        ("findings.edge.agreement", 2, "simulation.findings.edge.agreement"),
        ("categories.sex.levels", {"female": 0.9, "male": 0.9}, "levels of sex: required frequencies that sum to 1"),
        ("missing.columns", ["shoe_size"], "came shoe_size"),
        ("design", {"north": {"n": 240, "positive": 90}}, "design: required each of north, east, south, west, and no"),
        ("design", {**DESIGN, "west": {"n": 60, "positive": 60}}, "0 < positive < n, came 60 of 60"),
        (
            "design",
            {**DESIGN, "west": {"n": 61, "positive": 9}},
            "simulation.n_patients: required 241, the patients of",
        ),
        ("design", {**DESIGN, "west": {"n": 60}}, "simulation.design.west.positive: required a value, came nothing"),
        (
            "parts",
            {"north": "train", "south": "test"},
            "parts: required each of north, east, south, west, and no other",
        ),
        ("parts", {**dict.fromkeys(DESIGN, "train"), "west": "exam"}, "one of train, validation, test, came exam"),
        ("finding_loadings", {"shape": 0.5}, "finding_loadings.shape: required one of edge, echogenicity"),
        ("finding_loadings", {"edge": -1.5}, "finding_loadings.edge: required a value from -1 to 1, came -1.5"),
        ("missing.columns", "pain", "required a list, came 'pain'"),
        ("lesion.aspect", [1, 2, 3], "simulation.lesion.aspect: required 2 entries, came 3"),
        ("frame", 7, "simulation.frame: required a block with depth_px"),
        ("centers", {}, "simulation.centers: required a block of named entries"),
        ("seed", True, "simulation.seed: required a value of type int, came True"),
    ],
)
def test_what_is_wrong_is_said(path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_settings(changed(path, value))
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)
