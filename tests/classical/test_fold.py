import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from number_cohort import complete

from fusion.classical import fold as module
from fusion.classical.fit import ClassicalFit, Fitting, fit_classical
from fusion.classical.fold import fit_classical_fold
from fusion.classical.load import load_model
from fusion.classical.model import ClassicalModel
from fusion.errors import FusionError
from fusion.radiomics.icc import Agreement
from fusion.radiomics.stability import Stability
from fusion.runs.tables import read_branch_predictions, read_predictions
from fusion.splits.folds import make_inner_folds
from fusion.training.outputs import write_branches, write_fold
from fusion.training.tuning import FoldFit, fit_tuned

MODEL = {"name": "composite", "inputs": {"clinical": "features", "radiomics": "score"}, "select": False}

FitFold = Callable[..., FoldFit]


@pytest.fixture
def fit_fold(data: Any, fitting: Callable[..., Fitting]) -> FitFold:
    """Fit the fold of the data, or another one within it."""

    def fit(given: Any = data, *, fold: Any = None, is_own: bool = True, config: Any = None, **changes: Any) -> FoldFit:
        return fit_classical_fold(
            given.cohort,
            fold or given.fold,
            outer=given.fold,
            crops=given.crops,
            features=given.features,
            config=config or fitting(given, MODEL, **changes).config,
            title="",
            is_own=is_own,
        )

    return fit


def test_validation_patients_are_learned_from_and_so_are_training_patients(data: Any, fit_fold: FitFold) -> None:
    fitted = fit_fold()
    assert [case.case_id for case in fitted.cases] == [case.case_id for case in data.cohort.cases]
    learned = data.fold.train | data.fold.validation
    expected = ["train" if case.patient_id in learned else "test" for case in fitted.cases]
    assert list(fitted.predictions.parts) == expected
    assert set(fitted.predictions.folds) == {0}
    # What a validation patient is like matters, what a test patient is like does not.
    for part, matters in (("validation", True), ("test", False)):
        ids = {case.case_id for case in data.cases(part)}
        values = data.features.values.copy()
        values[[row for row, case_id in enumerate(data.features.case_ids) if case_id in ids]] += 3.0
        other = fit_fold(replace(data, features=replace(data.features, values=values)))
        assert isinstance(other.model, ClassicalModel)
        assert isinstance(fitted.model, ClassicalModel)
        same = other.model.entries["radiomics"].state() == fitted.model.entries["radiomics"].state()
        assert same != matters


def test_scores_are_those_of_the_model(data: Any, fit_fold: FitFold) -> None:
    fitted = fit_fold()
    scores = fitted.model.score_cases(fitted.cases, crops=data.crops, features=data.features, accelerator="cpu")
    np.testing.assert_array_equal(fitted.scores.probabilities, scores.probabilities)
    np.testing.assert_array_equal(fitted.predictions.probabilities, scores.probabilities)
    np.testing.assert_array_equal(fitted.scores.opinions, scores.opinions)


def test_patients_of_no_part_are_left_alone(data: Any, fit_fold: FitFold) -> None:
    smaller = replace(data.fold, test=frozenset(sorted(data.fold.test)[:4]))
    fitted = fit_fold(replace(data, fold=smaller))
    assert {case.patient_id for case in fitted.cases} == smaller.train | smaller.validation | smaller.test


def test_only_the_own_fit_leaves_tables(fit_fold: FitFold) -> None:
    assert set(fit_fold().tables) == {"selection.csv", "lasso_cv.csv", "lasso_path.csv"}
    assert fit_fold(is_own=False).tables == {}


def test_scores_within_an_inner_fold_are_out_of_fold_over_the_groups_of_the_outer_one(
    data: Any, fit_fold: FitFold, fitting: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an inner fold finds in the cache what the outer one and its other inner folds have fitted."""
    asked: list[Any] = []

    def spy(*args: Any) -> ClassicalFit:
        asked.append(args)
        return fit_classical(*args)

    monkeypatch.setattr(module, "fit_classical", spy)
    inner_folds = make_inner_folds(data.cohort, data.fold, split=fitting(data).config["split"])
    for fold in (data.fold, *inner_folds):
        fit_fold(fold=fold, is_own=fold is data.fold)
    groups = [fold.test for fold in inner_folds]
    assert [given for _, _, given in asked] == [groups] * 4
    assert [fold.train for _, fold, _ in asked] == [
        frozenset().union(*groups),
        *(frozenset().union(*groups) - group for group in groups),
    ]
    assert {fitting.number for fitting, _, _ in asked} == {0}


def test_stability_is_measured_on_whoever_is_learned_from(
    data: Any, fit_fold: FitFold, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[set[str]] = []

    def measure(cases: Any, **_: Any) -> Stability:
        measured.append({case.patient_id for case in cases})
        assert all(case.case_id in data.features.case_ids for case in cases)
        numbers = np.linspace(0.5, 1.0, 6)
        agreement = Agreement(icc=numbers, low=numbers, high=numbers)
        return Stability(
            names=data.features.names, agreement=agreement, kept=numbers > 0.75, n_cases=len(cases), n_measurements=2
        )

    monkeypatch.setattr(module, "measure_stability", measure)
    fitted = fit_fold()
    learned = data.fold.train | data.fold.validation
    # Patients 2 and 3 have no features. The whole, then each group's complement, then the whole again for the table.
    assert measured[0] == measured[-1] == learned - {"patient 2", "patient 3"}
    assert all(patients < measured[0] for patients in measured[1:-1])
    assert len(measured) == 5
    assert isinstance(fitted.model, ClassicalModel)
    assert fitted.model.entries["radiomics"].block.names == ("feature 3", "feature 4", "feature 5")
    header, rows = fitted.tables["stability.csv"]
    assert tuple(header) == ("fold", "feature", "icc", "ci_low", "ci_high", "kept")
    assert [(row[0], row[1], row[-1]) for row in rows] == [(0, f"feature {i}", i > 2) for i in range(6)]
    assert "stability.csv" not in fit_fold(is_own=False).tables


def test_a_run_with_classical_folds_has_the_files_of_any_other(
    data: Any, fitting: Callable[..., Fitting], fit_fold: FitFold, tmp_path: Path
) -> None:
    tuned = fit_tuned(
        data.cohort,
        data.fold,
        config=fitting(data, MODEL).config,
        fit=lambda fold, config, title: fit_fold(fold=fold, config=config, is_own=not title),
        score=lambda inner: 0.5,
    )
    # Every training patient is predicted once by a model that has not learned from it.
    assert sorted(set(tuned.inner.patient_ids)) == sorted(data.fold.train | data.fold.validation)
    assert len(set(tuned.inner.case_ids or ())) == len(tuned.inner.patient_ids)
    assert set(tuned.inner.parts) == {"validation"}
    tuned = tuned.calibrated("platt").with_thresholds({"youden": 0.4}, primary="youden")
    out = tmp_path / "fold_0"
    write_fold(out, tuned=tuned, fold=data.fold, split_sha256="abc")

    facts = json.loads((out / "fold.json").read_text())
    assert facts["candidates"] == {"clinical": 5, "radiomics": 6}
    assert (facts["threshold"], facts["calibration"]["name"], facts["split_sha256"]) == (0.4, "platt", "abc")
    for name in ("selection.csv", "lasso_cv.csv", "lasso_path.csv", "nomogram.csv", "features.csv"):
        with (out / name).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert {row["fold"] for row in rows} == {"0"}, name
    read = read_predictions(out / "predictions_cases.csv", model="composite")
    np.testing.assert_array_equal(read.probabilities, tuned.fit.predictions.probabilities)
    model = load_model(out / "model.ckpt")
    scores = model.score_cases(tuned.fit.cases, crops=data.crops, features=data.features, accelerator="cpu")
    np.testing.assert_allclose(scores.probabilities, read.probabilities)

    with (out / "branches.csv").open(newline="") as stream:
        header = next(csv.reader(stream))
    assert header[6:] == ["gate_radiomics", "radiomics_prob_benign", "radiomics_prob_malignant"]
    alone = read_branch_predictions(out / "branches.csv", "radiomics", ("benign", "malignant"))
    known = ~np.isnan(scores.opinions[:, 0, 0])
    np.testing.assert_array_equal(alone.probabilities, scores.opinions[known, 0])


def test_a_model_without_scores_has_no_branch_of_its_own(
    data: Any, fitting: Callable[..., Fitting], tmp_path: Path
) -> None:
    data = complete(data)
    model = {"name": "clinical", "inputs": {"clinical": "features"}, "select": False}
    fitted = fit_classical_fold(
        data.cohort,
        data.fold,
        outer=data.fold,
        crops=data.crops,
        features=data.features,
        config=fitting(data, model).config,
        title="",
        is_own=True,
    )
    assert fitted.scores.opinions.shape == (len(data.cohort.cases), 0, 2)
    assert [len(rows) for _, rows in fitted.tables.values()] == [0, 0, 0]
    write_branches(tmp_path / "branches.csv", fitted.model, fitted.cases, fitted.scores, fitted.predictions.parts)
    with (tmp_path / "branches.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["case_id", "patient_id", "center", "fold", "part", "label"]
    assert len(rows) == len(data.cohort.cases)
    # The patients of the validation part are learned from.
    assert {row[4] for row in rows} == {"train", "test"}


def test_a_cohort_without_the_inputs_is_told(data: Any, fit_fold: FitFold) -> None:
    bare = replace(data, cohort=replace(data.cohort, clinical_columns=()))
    nothing = replace(bare, features=replace(data.features, case_ids=(), values=data.features.values[:0]))
    with pytest.raises(FusionError, match=r"model=composite: required values of clinical, radiomics, came none"):
        fit_fold(nothing)
