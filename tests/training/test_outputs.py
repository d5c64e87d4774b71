import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.runs.tables import read_branch_predictions, read_predictions
from fusion.training.fitted import FittedModel
from fusion.training.outputs import write_branches, write_fold
from fusion.training.tuning import fit_tuned


@pytest.mark.parametrize("head", ["gated", "concat"])
def test_a_fold_leaves_its_checkpoint_facts_and_tables(data: Any, config: Any, tmp_path: Path, head: str) -> None:
    tuned = fit_tuned(
        data.cohort,
        data.fold,
        config=config({"trainer.max_epochs": 1, "head.name": head}),
        fit=data.fit_and_score,
        score=lambda inner: 0.5,
    ).with_thresholds({"youden": 0.4, "cost": 0.2}, primary="youden")
    model, cases, predictions = tuned.fit.model, tuned.fit.cases, tuned.fit.predictions
    inputs = model.assemble(cases, crops=data.crops, features=data.features)
    write_fold(tmp_path, tuned=tuned, fold=data.fold, split_sha256="abc")

    assert FittedModel.load(tmp_path / "model.ckpt").threshold == 0.4
    facts = json.loads((tmp_path / "fold.json").read_text())
    assert (facts["threshold"], facts["thresholds"]) == (0.4, {"youden": 0.4, "cost": 0.2})
    assert (facts["split_sha256"], facts["calibration"], facts["setting"]) == ("abc", {"name": "none"}, {})
    assert facts["radiomics_candidates"] == 6
    assert facts["candidates"] == {"radiomics": 6, "clinical": 5}
    assert not (tmp_path / "nomogram.csv").exists()
    with (tmp_path / "features.csv").open(newline="") as stream:
        weights = [(row["feature"], float(row["weight"])) for row in csv.DictReader(stream)]
    assert weights == model.feature_weights()
    read = read_predictions(tmp_path / "predictions_cases.csv", model="fusion")
    assert read.case_ids == predictions.case_ids
    assert np.array_equal(read.probabilities, predictions.probabilities)
    inner = read_predictions(tmp_path / "predictions_inner.csv", model="fusion")
    assert set(inner.patient_ids) == data.fold.validation
    assert not (tmp_path / "tuning.csv").exists()

    with (tmp_path / "branches.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["case_id"] for row in rows] == [case.case_id for case in cases]
    lacking = rows[[case.case_id for case in cases].index("case 3/0")]
    assert lacking["radiomics_prob_malignant"] == ""
    assert lacking["image_prob_malignant"] != ""
    gates = [lacking[f"gate_{name}"] for name in ("image", "radiomics", "clinical")]
    assert (gates == ["", "", ""]) if head == "concat" else (float(gates[1]) == 0 and float(gates[0]) > 0)
    alone = read_branch_predictions(tmp_path / "branches.csv", "radiomics", ("benign", "malignant"))
    assert len(alone.patient_ids) == int(inputs.present[:, 1].sum())


def test_tables_of_the_fit_and_of_the_model_stand_beside_it(
    data: Any, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config({"trainer.max_epochs": 1})
    tuned = fit_tuned(data.cohort, data.fold, config=settings, fit=data.fit_and_score, score=lambda inner: 0.5)
    tuned = replace(tuned, fit=replace(tuned.fit, tables={"selection.csv": (("fold", "x"), [(0, "a"), (0, "b")])}))
    monkeypatch.setattr(FittedModel, "tables", lambda self: {"nomogram.csv": (("fold", "y"), [(0, 0.5)])})
    write_fold(tmp_path, tuned=tuned, fold=data.fold, split_sha256="abc")
    assert (tmp_path / "selection.csv").read_text() == "fold,x\n0,a\n0,b\n"
    assert (tmp_path / "nomogram.csv").read_text() == "fold,y\n0,0.5\n"


def test_a_branch_that_the_cohort_has_no_input_for_has_empty_columns(data: Any, tmp_path: Path) -> None:
    bare = [case for case in data.cohort.cases if case.case_id != "case 2/0"]
    cohort = replace(data.cohort, cases=tuple(replace(case, clinical={}) for case in bare), clinical_columns=())
    without = replace(data, cohort=cohort)
    model = without.fit(trainer__max_epochs=1)
    inputs = model.assemble(cohort.cases, crops=data.crops, features=data.features)
    scores = model.score(inputs, device="cpu")
    parts = [str(data.fold.part_of(case.patient_id)) for case in cohort.cases]
    write_branches(tmp_path / "branches.csv", model, cohort.cases, scores, parts)

    with (tmp_path / "branches.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert model.network.names == ("image", "radiomics")
    assert {row["gate_clinical"] + row["clinical_prob_malignant"] for row in rows} == {""}
    labels = ("benign", "malignant")
    assert read_branch_predictions(tmp_path / "branches.csv", "clinical", labels).patient_ids == ()
    image = read_branch_predictions(tmp_path / "branches.csv", "image", labels)
    assert np.array_equal(image.probabilities, scores.opinions[inputs.present[:, 0], 0])
