"""What moved the predictions, from the commands to the ranking at the end of a comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.cli import main

# The smallest that has inner predictions of its own, which say who is the best.
SPLIT = ("split=kfold", "split.n_folds=2", "split.n_inner_folds=2", "split.validation_fraction=0.3")
QUICK = ("report=false",)
CLASSICAL = ("model=clinical", "classifier=lr", "selection.n_folds=3", "selection.n_bootstrap=2")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def foresee(run: Path) -> None:
    """Give a run inner predictions that are all right."""
    path = run / "predictions_inner.csv"
    rows = rows_of(path)
    for row in rows:
        is_malignant = row["label"] == "malignant"
        row |= {"prob_malignant": str(0.1 + 0.8 * is_malignant), "prob_benign": str(0.9 - 0.8 * is_malignant)}
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def runs(command: Any, tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A network's run and a classical model's on the same folds."""
    place = tmp_path_factory.mktemp("explained")
    models = {"network": ("model.branches=[radiomics,clinical]",), "classical": CLASSICAL}
    for name, overrides in models.items():
        command("train.py", *tiny, *SPLIT, *QUICK, *overrides, f"hydra.run.dir={place / name}").succeeded()
    return [place / name for name in models]


def test_a_networks_tabular_inputs_are_explained_in_every_fold(runs: list[Path]) -> None:
    run = runs[0]
    rows = rows_of(run / "attributions/inputs.csv")
    tested = {(row["case_id"], row["fold"]) for row in rows_of(run / "predictions_cases.csv") if row["part"] == "test"}
    assert {row["fold"] for row in rows} == {"0", "1"}
    # No test part is larger than what is explained.
    assert {(row["case_id"], row["fold"]) for row in rows} == tested
    assert {row["unit"] for row in rows} == {"probability"}
    assert max(float(row["completeness_error"]) for row in rows) < 1e-6
    heard = {(row["fold"], row["feature"]) for row in rows_of(run / "features.csv") if float(row["weight"])}
    features = {name for _, name in heard}
    assert {(row["fold"], row["name"]) for row in rows if row["name"] in features} == heard
    assert {"age", "pain", "edge"} <= {row["name"] for row in rows} - features


def test_where_the_network_is_best_the_comparison_ends_with_its_shap_ranking(runs: list[Path], tmp_path: Path) -> None:
    foresee(runs[0])
    out = tmp_path / "comparison"
    assert main(["compare", *map(str, runs), "--permutations", "20", "--out", str(out)]) == 0
    written = json.loads((out / "comparison.json").read_text())
    inputs = written["inputs"]
    assert inputs["model"] == written["best_by_inner"] != written["models"][1]["name"]
    assert (inputs["method"], inputs["inputs_of"], inputs["unit"]) == ("shap", "tabular branches", "probability")
    values: dict[str, float] = {}
    rows = rows_of(runs[0] / "attributions/inputs.csv")
    for row in rows:
        values[row["name"]] = values.get(row["name"], 0.0) + abs(float(row["value"]))
    n_cases = len({(row["case_id"], row["fold"]) for row in rows})
    first = inputs["ranking"][0]
    assert first["name"] == max(values, key=lambda name: values[name])
    assert first["strength"] == pytest.approx(values[first["name"]] / n_cases)
    strengths = [entry["strength"] for entry in inputs["ranking"]]
    assert strengths == sorted(strengths, reverse=True)
    assert np.all(np.array(strengths) > 0)
    page = (out / "comparison.html").read_text()
    table = page.partition('id="inputs-table"')[2]
    assert first["name"] in table
    drawn = (out / "figures/inputs.svg").read_text()
    assert first["name"] in drawn
    assert "Mean absolute SHAP value (probability)" in drawn
