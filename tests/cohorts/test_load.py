from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from fusion.cohorts.load import load_cohort
from fusion.cohorts.summary import summarize
from fusion.records import Cohort

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY / "../shared/data"


def config(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(version_base="1.3", config_dir=str(REPOSITORY / "conf")):
        composed: Any = OmegaConf.to_container(compose(overrides=list(overrides)).cohort, resolve=True)
    return dict(composed)


def load(name: str, tmp_path: Path, *overrides: str) -> Cohort:
    root = DATA / name
    if not root.is_dir():
        pytest.skip(f"the real cohort {name} is not beside the project ({root})")
    given = config(f"+cohort={name}", f"cohort.root={root}", *overrides)
    return load_cohort(given, cache_dir=tmp_path, require_labels=True)


@pytest.mark.real_data
def test_breast_is_what_its_table_says(tmp_path: Path) -> None:
    cohort = load("breast", tmp_path)
    assert (len(cohort.cases), len(cohort.patients)) == (252, 252)
    assert Counter(case.label for case in cohort.cases) == {"benign": 154, "malignant": 98}
    (summary,) = summarize(cohort)
    assert {name: count for name, count in summary.n_missing.items() if count} == {
        "Age": 41,
        "Tissue_composition": 49,
        "Signs": 45,
        "Symptoms": 94,
    }
    assert (summary.n_without_image, summary.n_without_mask) == (0, 0)
    assert [column.name for column in cohort.clinical_columns][-2:] == ["Calcifications", "Skin_thickening"]
    assert len(cohort.clinical_columns) == 11
    of_patient = [column.name for column in cohort.clinical_columns if column.source == "patient"]
    assert of_patient == ["Age", "Signs", "Symptoms"]
    assert cohort.cases[0].case_id == "1"
    assert cohort.cases[0].clinical == {
        "Age": 57.0,
        "Tissue_composition": frozenset({"heterogeneous: predominantly fat"}),
        "Signs": frozenset({"breast scar"}),
        "Symptoms": frozenset({"family history of breast/ovarian cancer"}),
        "Shape": "irregular",
        "Margin": frozenset({"not circumscribed", "indistinct"}),
        "Echogenicity": "heterogeneous",
        "Posterior_features": "shadowing",
        "Halo": 0.0,
        "Calcifications": "no",
        "Skin_thickening": 1.0,
    }


@pytest.mark.real_data
def test_birads_of_breast_is_an_input_by_one_override(tmp_path: Path) -> None:
    cohort = load("breast", tmp_path, "cohort.reader_score.as_input=true")
    column = cohort.clinical_columns[-1]
    assert (column.name, column.kind, column.source) == ("BIRADS", "ordered", "ultrasound")
    scores = Counter(case.clinical["BIRADS"] for case in cohort.cases)
    assert scores == {"2": 30, "3": 37, "4a": 44, "4b": 46, "4c": 49, "5": 46}


@pytest.mark.real_data
def test_busbra_is_what_its_tables_say(tmp_path: Path) -> None:
    cohort = load("busbra", tmp_path)
    assert (len(cohort.cases), len(cohort.patients)) == (1127, 638)
    assert Counter(case.label for case in cohort.cases) == {"benign": 760, "malignant": 367}
    assert Counter(case.fold for case in cohort.cases) == {"1": 376, "2": 385, "3": 366}
    assert Counter(case.center for case in cohort.cases) == {
        "GE Logiq 7 @10-14MHz": 563,
        "GE Logiq 5 @10-12MHz": 449,
        "Toshiba Aplio 300 @12-14 MHz": 95,
        "U-Systems @10-14MHz": 20,
    }
    assert cohort.clinical_columns == ()
    assert cohort.cases[0].mask == DATA / "busbra/Masks/mask_0001-l.png"


def test_a_simulation_is_made_first_and_then_read_as_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phantom = pytest.importorskip("fusion.cohorts.phantom")
    given = []

    def simulate_cohort(simulation: object, *, cache_dir: Path) -> Path:
        given.append((simulation, cache_dir))
        (tmp_path / "made").mkdir()
        (tmp_path / "made/table.csv").write_text("id,y\n1,a\n2,b\n")
        for name in "12":
            (tmp_path / f"made/{name}.png").touch()
        return tmp_path / "made"

    monkeypatch.setattr(phantom, "simulate_cohort", simulate_cohort)
    mapping = {"name": "made", "table": "table.csv", "key": "id", "image": "{id}.png", "root": None}
    label = {"column": "y", "names": ["a", "b"]}
    base = config("+cohort=table")
    cohort = load_cohort(
        {**base, **mapping, "label": label, "simulation": {"seed": 1}},
        cache_dir=tmp_path / "cache",
        require_labels=True,
    )
    assert given == [({"seed": 1}, tmp_path / "cache")]
    assert [case.image for case in cohort.cases] == [tmp_path / "made/1.png", tmp_path / "made/2.png"]
