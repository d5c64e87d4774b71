from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusion.calibration.fit import fit_calibrator
from fusion.errors import FusionError
from fusion.training.fitted import FittedModel


@pytest.fixture
def model(data: Any) -> FittedModel:
    fitted: FittedModel = data.fit(l1=1e-3, trainer__max_epochs=1)
    return fitted


@pytest.mark.parametrize("settings", [{"head__name": "gated"}, {"head__name": "concat"}], ids=["gated", "concat"])
def test_a_saved_model_gives_the_same_scores(data: Any, tmp_path: Path, settings: dict[str, Any]) -> None:
    model = data.fit(trainer__max_epochs=1, **settings)
    model = model.with_thresholds({"youden": 0.37, "cost": 0.2}, primary="youden")
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    model = model.with_calibrator(fit_calibrator("platt", np.array([0, 1, 0, 1]), probabilities, np.ones(4)))
    model.save(tmp_path / "fold_0/model.ckpt", split_sha256="abc")
    again = FittedModel.load(tmp_path / "fold_0/model.ckpt")
    inputs = model.assemble(data.cohort.cases, crops=data.crops, features=data.features)
    one, other = (fitted.score(inputs, device="cpu") for fitted in (model, again))
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
    np.testing.assert_allclose(one.opinions, other.opinions, atol=1e-6)
    assert (one.gates is None) == (other.gates is None) == (settings["head__name"] == "concat")
    assert (again.threshold, again.thresholds) == (0.37, {"youden": 0.37, "cost": 0.2})
    assert again.calibrator.state() == model.calibrator.state()
    for name in ("settings", "encoder", "scaler", "label_names", "prior_shift", "fold"):
        assert getattr(again, name) == getattr(model, name), name
    assert again.feature_weights() == model.feature_weights()
    assert len(again.background) > 10
    assert np.array_equal(again.background.radiomics, model.background.radiomics)
    assert np.array_equal(again.background.clinical, model.background.clinical)


def test_a_checkpoint_of_before_there_was_a_background_scores_all_the_same(
    data: Any, model: FittedModel, tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    model.save(path, split_sha256="abc")
    content = torch.load(path, weights_only=True)
    del content["background"]
    torch.save(content, path)
    older = FittedModel.load(path)
    assert len(older.background) == 0
    np.testing.assert_array_equal(data.probabilities(older), data.probabilities(model))


def test_a_checkpoint_holds_nothing_but_tensors_and_plain_values(model: FittedModel, tmp_path: Path) -> None:
    model.save(tmp_path / "model.ckpt", split_sha256="abc")
    content = torch.load(tmp_path / "model.ckpt", weights_only=True)
    assert (content["format"], content["kind"], content["split_sha256"]) == (3, "network", "abc")
    assert content["label_names"] == ["benign", "malignant"]


def test_a_checkpoint_does_not_ask_for_the_file_of_weights(model: FittedModel, tmp_path: Path) -> None:
    settings = {**model.settings, "backbone": {**model.settings["backbone"], "weights": "/gone/weights.pth"}}
    replace(model, settings=settings).save(tmp_path / "model.ckpt", split_sha256="abc")
    assert FittedModel.load(tmp_path / "model.ckpt").settings["backbone"]["weights"] == "/gone/weights.pth"


def test_a_case_is_scored_with_the_branches_it_has(data: Any, model: FittedModel) -> None:
    cases = data.cohort.cases
    inputs = model.assemble(cases, crops=data.crops, features=data.features)
    scores = model.score(inputs, device="cpu")
    assert np.isfinite(scores.probabilities).all()
    np.testing.assert_allclose(scores.probabilities.sum(1), 1)
    assert np.array_equal(np.isnan(scores.opinions).any(2), ~inputs.present)
    np.testing.assert_allclose(np.nansum(scores.opinions, axis=2)[inputs.present], 1)
    assert scores.gates is not None
    assert (scores.gates[~inputs.present] == 0).all()
    np.testing.assert_allclose(scores.gates.sum(1), 1, atol=1e-6)


def test_a_case_is_scored_alike_whoever_is_scored_with_it(data: Any, model: FittedModel) -> None:
    cases = data.cohort.cases
    together = model.score(model.assemble(cases, crops=data.crops, features=data.features), device="cpu").probabilities
    for row in (0, 3, 5, len(cases) - 1):
        inputs = model.assemble([cases[row]], crops=data.crops, features=data.features)
        np.testing.assert_allclose(model.score(inputs, device="cpu").probabilities[0], together[row], atol=1e-6)


def test_a_case_without_any_branch_is_told(data: Any, model: FittedModel, drop: Callable[..., Any]) -> None:
    bare = drop(data, patient="patient 25", branches=("image", "radiomics", "clinical"))
    inputs = model.assemble(bare.cohort.cases, crops=bare.crops, features=bare.features)
    with pytest.raises(FusionError, match=r"came none for 2 case\(s\): case 25/0, case 25/1; give them an image"):
        model.score(inputs, device="cpu")


@pytest.mark.parametrize(
    "branches", [("image",), ("clinical",), ("radiomics", "clinical"), ("image", "radiomics")], ids="+".join
)
def test_what_a_patient_lacks_does_not_matter_to_the_others(
    data: Any, model: FittedModel, drop: Callable[..., Any], branches: tuple[str, ...]
) -> None:
    fewer = drop(data, patient="patient 26", branches=branches)
    before, after = (data.probabilities(model), fewer.probabilities(model))
    changed = [case.patient_id == "patient 26" for case in data.cases("test")]
    np.testing.assert_allclose(after[~np.array(changed)], before[~np.array(changed)], atol=1e-6)
    assert not np.allclose(after[changed], before[changed], atol=1e-9)


def test_cases_are_assembled_and_scored_at_once(data: Any, model: FittedModel) -> None:
    cases = data.cases("test")
    at_once = model.score_cases(cases, crops=data.crops, features=data.features, accelerator="cpu")
    inputs = model.assemble(cases, crops=data.crops, features=data.features)
    scores = model.score(inputs, device="cpu")
    assert np.array_equal(at_once.probabilities, scores.probabilities)
    assert np.array_equal(at_once.opinions, scores.opinions, equal_nan=True)


def test_which_branches_each_case_has_is_said(data: Any, model: FittedModel) -> None:
    present = model.presence(data.cohort.cases, crops=data.crops, features=data.features)
    assert model.heard == tuple(present) == ("image", "radiomics", "clinical")
    ids = [case.case_id for case in data.cohort.cases]
    lacking = {name: [ids[row] for row in np.flatnonzero(~has)] for name, has in present.items()}
    assert lacking == {"image": ["case 2/0"], "radiomics": ["case 2/0", "case 3/0"], "clinical": ["case 4/0"]}


def test_what_it_makes_of_the_image_is_the_backbones_output_and_the_standardized_features(
    data: Any, model: FittedModel
) -> None:
    given = {"crops": data.crops, "features": data.features}
    rows = model.image_rows(data.cohort.cases, **given, accelerator="cpu")
    present = model.presence(data.cohort.cases, **given)
    assert {*rows} == {"image", "radiomics"}
    for branch, values in rows.items():
        assert np.array_equal(np.isnan(values).all(axis=1), ~present[branch])
        assert np.array_equal(np.isnan(values).any(axis=1), ~present[branch])
    inputs = model.assemble(data.cohort.cases, **given)
    assert np.array_equal(rows["radiomics"][present["radiomics"]], inputs.radiomics[present["radiomics"]])
    backbone = model.network.branches["image"].backbone
    seen = present["image"].nonzero()[0]
    alone = [model.image_rows([data.cohort.cases[row]], **given, accelerator="cpu")["image"][0] for row in seen[:3]]
    assert rows["image"][seen[:3]] == pytest.approx(np.array(alone), abs=1e-5)
    assert rows["image"].shape[1] == backbone.d_out


def test_facts_say_what_was_looked_at(model: FittedModel) -> None:
    # Age, three shapes and grade; one training patient has no clinical row, and no column has a missing value in one.
    assert model.facts() == {
        "candidates": {"radiomics": 6, "clinical": 5},
        "radiomics_features": len(model.feature_weights()),
        "radiomics_candidates": 6,
        "clinical_inputs": 5,
    }
    assert [column.name for column in model.clinical_columns] == ["age", "shape", "grade"]
    assert model.tables() == {}


def test_scores_become_predictions(data: Any, model: FittedModel) -> None:
    cases = data.cohort.cases
    scores = model.score(model.assemble(cases, crops=data.crops, features=data.features), device="cpu")
    predictions = model.predictions(cases, scores, fold=data.fold)
    assert predictions.case_ids == tuple(case.case_id for case in cases)
    assert predictions.parts == tuple(data.fold.part_of(case.patient_id) for case in cases)
    unlabeled = [replace(case, label=None) for case in cases]
    anywhere = model.predictions(unlabeled, scores, fold=None)
    assert set(anywhere.parts) == {"test"}
    assert set(anywhere.labels) == {""}


def test_feature_weights_are_the_survivors_by_size(model: FittedModel) -> None:
    gates: Any = model.network.branches["radiomics"].gates
    with torch.no_grad():
        gates.copy_(torch.tensor([0.1, 0.0, -0.5, 0.3, 0.0, -0.2]))
    assert [(name, round(weight, 6)) for name, weight in model.feature_weights()] == [
        ("feature 2", -0.5),
        ("feature 3", 0.3),
        ("feature 5", -0.2),
        ("feature 0", 0.1),
    ]
