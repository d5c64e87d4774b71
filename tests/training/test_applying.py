import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from number_cohort import numbers

from fusion.errors import InputError
from fusion.evaluation.pooling import average_folds
from fusion.records import FeatureTable
from fusion.runs.folder import RunFolder
from fusion.training.applying import (
    align_cohort,
    mean_thresholds,
    missing_inputs,
    outcome_note,
    score_folds,
    seen_in_training,
)
from fusion.training.fitted import FittedModel


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return numbers(tmp_path_factory.mktemp("numbers"))


@pytest.fixture(scope="module")
def models(data: Any) -> list[FittedModel]:
    """Of two folds; to be read only."""
    first = data.fit(trainer__max_epochs=1).with_thresholds({"youden": 0.3, "cost": 0.1}, primary="youden")
    again = data.fit(seed=9, trainer__max_epochs=1)
    return [first, replace(again.with_thresholds({"youden": 0.6, "cost": 0.3}, primary="cost"), fold=1)]


def test_labels_in_another_order_become_the_models(data: Any, models: list[FittedModel]) -> None:
    turned = replace(data.cohort, label_names=("malignant", "benign"))
    aligned = align_cohort(turned, models[0])
    assert aligned.label_names == ("benign", "malignant")
    assert [case.label for case in aligned.cases] == [case.label for case in data.cohort.cases]


def test_another_outcome_is_no_label(data: Any, models: list[FittedModel]) -> None:
    other = tuple(replace(case, label="grade 1") for case in data.cohort.cases)
    aligned = align_cohort(replace(data.cohort, label_names=("grade 1", "grade 2"), cases=other), models[0])
    assert aligned.label_names == ("benign", "malignant")
    assert {case.label for case in aligned.cases} == {None}


def test_a_column_of_another_kind_is_told(data: Any, models: list[FittedModel]) -> None:
    age, *others = data.cohort.clinical_columns
    changed = replace(data.cohort, clinical_columns=(replace(age, kind="category"), *others))
    with pytest.raises(
        InputError, match=r"column 'age': required the kind 'number', as in training, came the kind 'ca"
    ):
        align_cohort(changed, models[0])


def test_an_ordered_column_of_other_levels_is_told(data: Any, models: list[FittedModel]) -> None:
    age, shape, grade = data.cohort.clinical_columns
    for levels in (("low", "middle", "high", "highest"), ("high", "middle", "low")):
        changed = replace(data.cohort, clinical_columns=(age, shape, replace(grade, levels=levels)))
        with pytest.raises(
            InputError, match=r"'grade': required the kind 'ordered' with the levels low, middle, high, as"
        ):
            align_cohort(changed, models[0])


def test_a_cohort_may_lack_columns(data: Any, models: list[FittedModel]) -> None:
    fewer = replace(data.cohort, clinical_columns=data.cohort.clinical_columns[:1])
    assert align_cohort(fewer, models[0]) == fewer


def test_folds_are_scored_one_below_the_other_and_averaged(
    data: Any, models: list[FittedModel], tmp_path: Path
) -> None:
    cases = data.cases("test")
    folds = score_folds(models, cases, crops=data.crops, features=data.features, out_dir=tmp_path, accelerator="cpu")
    assert folds.folds == (0,) * len(cases) + (1,) * len(cases)
    assert set(folds.parts) == {"test"}
    expected = [data.probabilities(model) for model in models]
    np.testing.assert_allclose(folds.probabilities, np.concatenate(expected), atol=1e-7)
    averaged = average_folds(folds)
    assert averaged.case_ids == tuple(case.case_id for case in cases)
    np.testing.assert_allclose(averaged.probabilities, np.mean(expected, axis=0), atol=1e-7)
    with (tmp_path / "branches.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["fold"] for row in rows] == [str(fold) for fold in folds.folds]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".branches", "branches"))] == [
        "branches.csv"
    ]


def test_a_cohort_without_a_single_mask_is_scored_without_image_and_radiomics(
    data: Any, models: list[FittedModel], tmp_path: Path
) -> None:
    nothing = FeatureTable(case_ids=(), names=(), values=np.zeros((0, 0)))
    crops = replace(data.crops, case_ids=(), array=data.crops.array[:0])
    cases = [case for case in data.cohort.cases if case.clinical]
    folds = score_folds(models, cases, crops=crops, features=nothing, out_dir=tmp_path, accelerator="cpu")
    assert np.isfinite(folds.probabilities).all()
    missing = missing_inputs(models, replace(data.cohort, cases=tuple(cases)), crops=crops, features=nothing)
    assert missing["branches"] == {"image": len(cases), "radiomics": len(cases), "clinical": 0}
    assert missing["n_cases"] == len(cases)


def test_what_is_missing_is_said(data: Any, models: list[FittedModel]) -> None:
    fewer = replace(data.cohort, clinical_columns=data.cohort.clinical_columns[:1])
    missing = missing_inputs(models, fewer, crops=data.crops, features=data.features)
    n_unknown = sum(case.clinical.get("age") is None for case in data.cohort.cases)
    assert missing["columns"] == {"absent": ["grade", "shape"], "missing": {"age": n_unknown}}
    assert missing["branches"] == {"image": 1, "radiomics": 2, "clinical": 1}
    assert missing["n_cases"] == 36


def test_a_branch_that_only_some_folds_models_have_is_looked_at_too(data: Any, models: list[FittedModel]) -> None:
    fewer = data.fit(trainer__max_epochs=1, model__branches=["image", "clinical"])
    of_one, of_both = (
        missing_inputs(each, data.cohort, crops=data.crops, features=data.features)["branches"]
        for each in ([fewer], [fewer, models[0]])
    )
    assert of_one == {"image": 1, "clinical": 1}
    assert of_both == {"image": 1, "clinical": 1, "radiomics": 2}


def test_patients_of_training_are_counted_by_cohort_and_id(data: Any, tmp_path: Path) -> None:
    run = RunFolder.begin(tmp_path, {"cohort": {"name": "numbers"}})
    run.write_split(data.cohort, [data.fold])
    assert seen_in_training(run, data.cohort) == 21
    tested = tuple(data.cases("test"))
    assert seen_in_training(run, replace(data.cohort, cases=tested)) == 0
    assert seen_in_training(run, replace(data.cohort, name="another hospital's")) == 0


def test_thresholds_are_averaged_where_there_are_any(models: list[FittedModel]) -> None:
    assert mean_thresholds(models) == pytest.approx({"youden": 0.45, "cost": 0.2})
    assert mean_thresholds([model.with_thresholds({}, primary="youden") for model in models]) == {}


def test_another_outcome_is_said_where_there_is_one(data: Any, models: list[FittedModel]) -> None:
    assert outcome_note(data.cohort, models[0]) == []
    renamed = {"benign": "primary", "malignant": "secondary"}
    cases = tuple(replace(case, label=renamed[str(case.label)]) for case in data.cohort.cases)
    other = replace(data.cohort, cases=cases, label_names=("primary", "secondary"))
    (note,) = outcome_note(other, models[0])
    assert "benign, malignant apart, the cohort's outcome is primary, secondary" in note
    unknown = replace(other, cases=tuple(replace(case, label=None) for case in cases))
    assert outcome_note(unknown, models[0]) == []
