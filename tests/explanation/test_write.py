import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.explanation.integrated_gradients import explain
from fusion.explanation.write import write_explanations

SAMPLING = {"n_cases": 4, "n_background": 4, "max_evaluations": 64}
PIXELS = {
    "methods": ["integrated_gradients", "grad_cam"],
    "most_steps": 4,
    "smallest_difference": 0.05,
    "ring": 0.1,
    "deletion": {"cell": 0.25, "n_steps": 2},
    "n_random_orders": 1,
    "randomization": {"n_networks": 1, "n_steps": 2},
    "bars": {"completeness_error": 0.01, "p": 0.05, "similarity_randomized": 0.7},
}
FAST = {"name": "fast", "n_cases": 4, "n_steps": 4, "pixels": PIXELS, "network": SAMPLING}


def write(example: Any, out_dir: Path, settings: dict[str, Any]) -> None:
    write_explanations(
        out_dir,
        images_dir=out_dir / "images",
        model=example.model,
        cases=example.cases,
        probabilities=np.linspace(0, 1, len(example.cases)),
        pictured=range(len(example.cases)),
        crops=example.crops,
        features=example.features,
        settings=settings,
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_tables_and_pictures_of_the_spread_cases(make_example: Callable[..., Any], tmp_path: Path) -> None:
    example = make_example()
    write(example, tmp_path / "fold_0", FAST)
    found = explain(example.model, example.inputs(), n_steps=4)
    for attribution in (found.radiomics, found.clinical):
        rows = read(tmp_path / f"fold_0/{attribution.branch}.csv")
        expected = {
            (case_id, name): value
            for case_id, values in zip(attribution.case_ids, attribution.values.tolist(), strict=True)
            for name, value in zip(attribution.names, values, strict=True)
            if value != 0 and case_id in ("case 0", "case 2", "case 3", "case 5")
        }
        assert {(row["case_id"], row["name"]): float(row["value"]) for row in rows} == expected
        assert {row["fold"] for row in rows} == {"0"}
        assert all(np.isfinite(float(row["completeness_error"])) for row in rows)
    pictures = sorted(path.name for path in (tmp_path / "fold_0/images").iterdir())
    assert pictures == ["case 0.png", "case 2.png", "case 3.png", "case 5.png"]


def test_shap_values_of_the_tabular_inputs_of_the_cases_that_have_them(
    make_example: Callable[..., Any], tmp_path: Path
) -> None:
    write(make_example(), tmp_path / "fold_0", FAST | {"network": SAMPLING | {"n_cases": 6}})
    rows = read(tmp_path / "fold_0/inputs.csv")
    assert list(rows[0]) == [
        *("case_id", "fold", "name", "value", "completeness_error", "unit", "standard_error", "method"),
        *("scale", "given"),
    ]
    assert {(row["scale"], row["given"]) for row in rows if row["name"] == "shape"} == {
        ("table", "oval"),
        ("table", "round"),
    }
    assert {(row["fold"], row["unit"]) for row in rows} == {("0", "probability")}
    by_case: dict[str, list[str]] = {}
    for row in rows:
        by_case.setdefault(row["case_id"], []).append(row["name"])
        assert np.isfinite(float(row["value"]))
    features = [f"feature {k}" for k in range(4)]
    # Case 1 lacks its radiomics, case 2 its clinical row.
    assert by_case.pop("case 1") == ["age", "shape"]
    assert by_case.pop("case 2") == features
    assert by_case == {f"case {k}": [*features, "age", "shape"] for k in (0, 3, 4, 5)}


def test_what_each_branch_gave_to_every_case(make_example: Callable[..., Any], tmp_path: Path) -> None:
    write(make_example(), tmp_path / "fold_0", FAST)
    rows = read(tmp_path / "fold_0/shapley.csv")
    assert [row["case_id"] for row in rows] == [f"case {k}" for k in range(6)]
    for row in rows:
        values = [float(row[branch]) for branch in ("image", "radiomics", "clinical") if row[branch]]
        assert sum(values) == pytest.approx(float(row["probability"]) - float(row["base"]))
    assert [row["case_id"] for row in rows if not row["radiomics"]] == ["case 1"]


def test_a_network_of_the_image_alone_has_no_such_table(make_example: Callable[..., Any], tmp_path: Path) -> None:
    example = make_example(branches=("image",))
    write(replace(example, cases=(example.cases[0], *example.cases[3:])), tmp_path, FAST)
    assert not (tmp_path / "inputs.csv").exists()
    assert (tmp_path / "images").exists()


def test_a_case_without_an_image_has_no_picture(make_example: Callable[..., Any], tmp_path: Path) -> None:
    write(make_example(), tmp_path, FAST | {"n_cases": 6})
    assert sorted(path.stem for path in (tmp_path / "images").iterdir()) == [f"case {i}" for i in (0, 2, 3, 4, 5)]


def test_an_id_that_is_no_file_name_stays_in_the_folder(make_example: Callable[..., Any], tmp_path: Path) -> None:
    write(make_example(ids="../{}/left:$x$*".format), tmp_path, FAST)
    pictures = sorted((tmp_path / "images").iterdir())
    assert pictures[0].name == "..%2F0%2Fleft%3A%24x%24%2A.png"
    assert len(pictures) == 4
    assert sorted(path.name for path in tmp_path.rglob("*.png")) == sorted(path.name for path in pictures)


def test_none_writes_nothing(make_example: Callable[..., Any], tmp_path: Path) -> None:
    write(make_example(), tmp_path / "fold_0", {"name": "none"})
    assert not (tmp_path / "fold_0").exists()


def test_a_model_without_an_image_branch_leaves_no_pictures(make_example: Callable[..., Any], tmp_path: Path) -> None:
    example = make_example(branches=("clinical",))
    write(replace(example, cases=(*example.cases[:2], *example.cases[3:])), tmp_path, FAST | {"n_cases": 2})
    assert not (tmp_path / "images").exists()
    assert not (tmp_path / "radiomics.csv").exists()
    assert read(tmp_path / "clinical.csv")
