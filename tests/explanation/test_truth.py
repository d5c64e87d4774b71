"""The truth is known: a signal is planted in one branch, or in one column, and the explanations have to find it there.

Everything is drawn anew as noise, and one thing is pushed by the outcome. The pixels' part of this is in the tests of
their explanations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from number_cohort import CONFIG, change, complete
from sklearn.metrics import roc_auc_score

from fusion.classical.fold import fit_classical_fold
from fusion.classical.rows import Sources
from fusion.explanation.branch_shapley import explain_classical_branches, explain_network_branches
from fusion.explanation.branch_summary import summarize_branches
from fusion.explanation.branch_table import BRANCHES, BranchValues, write_branch_values
from fusion.explanation.classical_inputs import explain_classical_inputs
from fusion.explanation.network_inputs import explain_network_inputs
from fusion.explanation.shap_values import ShapTable
from fusion.imaging.store import Crops

Make = Callable[..., Any]
N_PATIENTS = 80
FIT = {
    "optimizer__lr": 0.02,
    "model__branch_dropout": 0.3,
    "trainer__augmentation": dict.fromkeys(CONFIG["trainer"]["augmentation"], 0),
}
# Forty patients are few enough to learn noise by heart, of which an explanation could only say that it was learned:
# where the image is noise, its backbone stays as it was drawn.
FROZEN = {**FIT, "trainer__max_epochs": 12, "trainer__freeze_epochs": 12}
FREE = {**FIT, "trainer__max_epochs": 5}
SETTINGS = {"n_cases": 12, "n_background": 15, "max_evaluations": 256}
FEATURE, COLUMN = "feature 3", "age"
TREES = {"_target_": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 20, "min_samples_leaf": 5}


def plant(make_data: Make, *places: str, shuffled: bool = False) -> Any:
    """A cohort of noise in which the outcome shows in some branches and nowhere else; of the tables, in one column."""
    data = complete(make_data(n_patients=N_PATIENTS, signal=0.0))
    push = {case.case_id: 1.0 if case.label == "malignant" else -1.0 for case in data.cohort.cases}
    pixels, values, cases = np.array(data.crops.array), data.features.values.copy(), data.cohort.cases
    if "image" in places:
        moved = pixels[:, 0] + 40 * np.array([push.get(case_id, 0.0) for case_id in data.crops.case_ids])[:, None, None]
        pixels[:, 0] = moved.clip(0, 255)
    if "radiomics" in places:
        values[:, data.features.names.index(FEATURE)] += [1.5 * push.get(name, 0) for name in data.features.case_ids]
    if "clinical" in places:
        ages = {case.case_id: case.clinical[COLUMN] + 12 * push[case.case_id] for case in cases}
        cases = tuple(replace(case, clinical={**case.clinical, COLUMN: ages[case.case_id]}) for case in cases)
    if shuffled:
        labels = {case.patient_id: case.label for case in cases}
        drawn = dict(zip(labels, np.random.default_rng(1).permutation([*labels.values()]).tolist(), strict=True))
        cases = tuple(replace(case, label=drawn[case.patient_id]) for case in cases)
    return replace(
        data,
        cohort=replace(data.cohort, cases=cases),
        crops=Crops(case_ids=data.crops.case_ids, array=pixels, key=f"planted in {places}"),
        features=replace(data.features, values=values),
    )


def explain_branches(data: Any, model: Any) -> BranchValues:
    return explain_network_branches(model, model.assemble(data.cases("test"), crops=data.crops, features=data.features))


def explain_inputs(data: Any, model: Any, probabilities: np.ndarray) -> ShapTable:
    tables = {"crops": data.crops, "features": data.features}
    found = explain_network_inputs(model, data.cases("test"), probabilities=probabilities, settings=SETTINGS, **tables)
    assert found is not None
    return found


def strengths(values: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    return dict(zip(names, np.abs(values).mean(axis=0).tolist(), strict=True))


def areas(data: Any, table: BranchValues) -> dict[str, float]:
    """How well each branch's values tell the outcomes of the test patients apart."""
    labels = [case.label == "malignant" for case in data.cases("test")]
    return {name: float(roc_auc_score(labels, table.values[:, place])) for place, name in enumerate(BRANCHES)}


def chance(data: Any) -> float:
    """Half the width of the interval in which 99.9 % of areas lie where there is nothing (Mann & Whitney)."""
    labels = [case.label == "malignant" for case in data.cases("test")]
    n, n_positive = len(labels), sum(labels)
    return 3.29 * math.sqrt((n + 1) / (12 * n_positive * (n - n_positive)))


@pytest.mark.parametrize("place", BRANCHES)
def test_the_network_s_values_find_the_branch_and_the_column_of_the_signal(make_data: Make, place: str) -> None:
    data = plant(make_data, place)
    model = data.fit(**(FREE if place == "image" else FROZEN))
    branches = explain_branches(data, model)
    of_branch, area = strengths(branches.values, BRANCHES), areas(data, branches)
    assert of_branch.pop(place) > 2 * max(of_branch.values())
    assert area[place] > 0.9
    if planted := {"radiomics": FEATURE, "clinical": COLUMN}.get(place):
        inputs = explain_inputs(data, model, branches.probabilities)
        of_input = strengths(inputs.values, inputs.names)
        assert of_input.pop(planted) > 2 * max(of_input.values())


def test_where_nothing_tells_the_labels_no_branch_stands_out(make_data: Make) -> None:
    data = plant(make_data, *BRANCHES, shuffled=True)
    branches = explain_branches(data, data.fit(**FREE))
    assert all(abs(area - 0.5) < chance(data) for area in areas(data, branches).values())
    # A branch that knows the outcome moves the probability by more than 0.3.
    assert max(strengths(branches.values, BRANCHES).values()) < 0.1


def test_two_branches_that_know_the_same_repeat_each_other(make_data: Make, tmp_path: Path) -> None:
    data = plant(make_data, "radiomics", "clinical")
    write_branch_values(tmp_path / "shapley.csv", explain_branches(data, data.fit(**FROZEN)), 0)
    summary = summarize_branches(pd.read_csv(tmp_path / "shapley.csv"))
    assert summary["branches"]["image"]["mean_absolute"] < 0.5 * summary["branches"]["clinical"]["mean_absolute"]
    assert "partly repeat each other" in summary["pairs"]["radiomics_clinical"]["verdict"]
    assert summary["gates"]["n_compared"] == len(data.cases("test"))


def fit_classical(data: Any, tmp_path: Path, estimator: dict[str, Any]) -> Any:
    changes = {
        "model": {
            "name": "composite",
            "inputs": {"clinical": "features", "radiomics": "features"},
            "select": False,
            "combine": "classifier",
        },
        "classifier.estimator": estimator,
        "split.n_inner_folds": 3,
        "cache_dir": str(tmp_path),
    }
    parts = {"outer": data.fold, "crops": data.crops, "features": data.features}
    return fit_classical_fold(
        data.cohort, data.fold, **parts, config=change(CONFIG, changes), title="", is_own=False
    ).model


@pytest.mark.parametrize("estimator", [CONFIG["classifier"]["estimator"], TREES], ids=["linear", "trees"])
@pytest.mark.parametrize(("place", "name"), [("radiomics", FEATURE), ("clinical", COLUMN)])
def test_a_classical_model_s_branches_and_inputs_find_it(
    make_data: Make, tmp_path: Path, place: str, name: str, estimator: dict[str, Any]
) -> None:
    data = plant(make_data, place)
    model, cases = fit_classical(data, tmp_path, estimator), data.cases("test")
    joined = model.join(cases, Sources(crops=data.crops, features=data.features, accelerator="cpu"))
    ids = [case.case_id for case in cases]
    branches = explain_classical_branches(model, ids, joined)
    of_branch = strengths(branches.values, BRANCHES)
    (other,) = {"radiomics", "clinical"} - {place}
    assert of_branch[place] > 2 * of_branch[other]
    assert np.isnan(of_branch["image"])
    inputs = explain_classical_inputs(model, ids, joined, probabilities=np.linspace(0, 1, len(ids)), settings=SETTINGS)
    assert inputs is not None
    assert inputs.method == ("linear" if estimator is not TREES else "trees")
    of_input = strengths(inputs.values, inputs.names)
    assert of_input.pop(name) > 2 * max(of_input.values())
