import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from number_cohort import complete
from numpy.typing import NDArray
from scipy.special import expit, logit

from fusion.calibration.fit import fit_calibrator
from fusion.classical import deep
from fusion.classical.columns import Features, Score
from fusion.classical.fit import ClassicalFit, Fitting, fit_classical, whole_training
from fusion.classical.late import WeightedMean
from fusion.classical.load import load_model
from fusion.classical.model import ClassicalModel
from fusion.classical.rows import Sources
from fusion.errors import FusionError
from fusion.records import Cohort, FeatureTable
from fusion.splits.folds import make_inner_folds
from fusion.training.fitted import Scores

MODELS: dict[str, dict[str, Any]] = {
    "composite": {},
    "late": {
        "inputs": {"clinical": "score", "radiomics": "score", "deep": "score"},
        "select": False,
        "combine": "mean",
    },
    "stacked": {"inputs": {"clinical": "score", "radiomics": "score", "deep": "score"}, "select": False},
    "radiomics": {"inputs": {"radiomics": "features"}},
    "deep": {"inputs": {"deep": "features"}},
    "clinical": {"inputs": {"clinical": "features"}, "select": False},
}
# Nothing of the radiomics features is left.
NOTHING = {"selection.filters": [{"name": "variance", "min_variance": 1e6}]}
PLATT = fit_calibrator(
    "platt", np.array([0, 1, 0, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), np.ones(4)
)

Fit = Callable[..., ClassicalFit]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every test fits the same data: what one has fitted the others find."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def fit(data: Any, fitting: Callable[..., Fitting], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Fit one of the models, with further dotted keys changed; backbones stay untrained."""

    def build(cohort: Any, fold: Any, *, crops: Any, config: Any, title: str) -> Any:
        torch.manual_seed(len(fold.train))
        return deep._build(deep._settings(config), n_labels=2).eval()

    monkeypatch.setattr(deep, "_fit", build)

    def make(name: str, changes: dict[str, Any] | None = None, model: dict[str, Any] | None = None) -> ClassicalFit:
        settings = {"name": name, **MODELS[name], **(model or {})}
        given = complete(data) if len(settings.get("inputs", "abc")) < 2 else data
        dotted = {key.replace(".", "__"): value for key, value in (changes or {}).items()}
        made = fitting(given, settings, **dotted)
        made = replace(made, config={**made.config, "cache_dir": str(cache)})
        groups = [inner.test for inner in make_inner_folds(given.cohort, given.fold, split=made.config["split"])]
        return fit_classical(made, whole_training(given.fold), groups)

    return make


@pytest.fixture
def score(data: Any) -> Callable[..., Scores]:
    def scores(model: ClassicalModel, cases: Any = None) -> Scores:
        everybody = (complete(data) if len(model.entries) < 2 else data).cohort.cases
        of = everybody if cases is None else cases
        return model.score_cases(of, crops=data.crops, features=data.features, accelerator="cpu")

    return scores


def is_close(one: Scores, other: Scores, atol: float) -> bool:
    return np.allclose(one.probabilities, other.probabilities, rtol=0, atol=atol) and np.allclose(
        one.opinions, other.opinions, rtol=0, atol=atol, equal_nan=True
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_gives_the_same_scores(fit: Fit, score: Callable[..., Scores], tmp_path: Path, name: str) -> None:
    model = fit(name).model.with_calibrator(PLATT).with_thresholds({"youden": 0.37, "cost": 0.2}, primary="youden")
    path = tmp_path / "fold_0" / "model.ckpt"
    model.save(path, split_sha256="abc")
    content = torch.load(path, weights_only=True)
    assert (content["format"], content["kind"], content["split_sha256"]) == (3, "classical", "abc")
    again = load_model(path)
    assert isinstance(again, ClassicalModel)
    # Embeddings are computed again by another batch; all else is the same number.
    assert is_close(score(again), score(model), 1e-5 if "deep" in model.entries else 0)
    for attribute in ("settings", "label_names", "fold", "threshold", "thresholds", "names", "final_names", "heard"):
        assert getattr(again, attribute) == getattr(model, attribute), attribute
    assert (again.fold, again.threshold, again.thresholds) == (0, 0.37, {"youden": 0.37, "cost": 0.2})
    assert again.calibrator.state() == PLATT.state()
    assert again.facts() == model.facts()
    assert again.feature_weights() == model.feature_weights()
    assert again.tables() == model.tables()
    assert again.clinical_columns == model.clinical_columns
    for attribute in ("background", "ranges"):
        np.testing.assert_array_equal(getattr(again, attribute), getattr(model, attribute))


@pytest.mark.parametrize("select", [True, False])
def test_a_model_that_nothing_is_left_for_is_the_prevalence(
    data: Any, fit: Fit, score: Callable[..., Scores], tmp_path: Path, select: bool
) -> None:
    model = fit("radiomics", NOTHING, {"select": select}).model
    assert (model.final_names, model.tables(), model.feature_weights()) == ((), {}, [])
    assert model.facts()["candidates"] == {"radiomics": 6}
    known = complete(data)
    trained = known.fold.train | known.fold.validation
    labels = [known.cohort.patients[patient][0].label for patient in trained]
    share = labels.count("malignant") / len(labels)
    np.testing.assert_allclose(score(model).probabilities, [[1 - share, share]] * len(known.cohort.cases))
    model.save(tmp_path / "model.ckpt", split_sha256="")
    again = load_model(tmp_path / "model.ckpt")
    assert isinstance(again, ClassicalModel)
    np.testing.assert_array_equal(score(again).probabilities, score(model).probabilities)
    assert again.background.shape == model.background.shape


def test_a_score_that_nothing_is_left_for_is_a_constant(fit: Fit, score: Callable[..., Scores]) -> None:
    model = fit("stacked", NOTHING, {"inputs": {"clinical": "score", "radiomics": "score"}}).model
    opinions = score(model).opinions[:, 1, 1]
    known = ~np.isnan(opinions)
    assert np.unique(opinions[known]).size == 1
    assert known.sum() == 34


def test_what_enters_the_final_stage(fit: Fit) -> None:
    composite = fit("composite").model
    clinical, radiomics, deep_entry = composite.entries.values()
    assert isinstance(clinical, Features)
    assert isinstance(radiomics, Score)
    assert isinstance(deep_entry, Score)
    assert composite.heard == ("radiomics", "deep")
    assert composite.names[-2:] == ("radiomics score", "deep score")
    assert set(composite.final_names) <= set(composite.names)
    assert composite.coefficients is not None
    chosen = [name for name, value in zip(composite.names, composite.coefficients, strict=True) if value != 0]
    assert composite.final_names == tuple(chosen)
    late = fit("late").model
    assert isinstance(late.final, WeightedMean)
    assert late.coefficients is None
    assert late.final_names == late.names == ("clinical score", "radiomics score", "deep score")


def test_a_branch_is_heard_alone_and_the_model_as_a_whole(data: Any, fit: Fit, score: Callable[..., Scores]) -> None:
    model = fit("composite").model
    scores = score(model)
    assert scores.gates is None
    assert scores.opinions.shape == (36, 2, 2)
    np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(np.nansum(scores.opinions, axis=2)[~np.isnan(scores.opinions[:, :, 0])], 1)
    lacking = np.isnan(scores.opinions[:, :, 0])
    ids = np.array([case.case_id for case in data.cohort.cases])
    assert ids[np.flatnonzero(lacking[:, 0])].tolist() == ["case 2/0", "case 3/0"]
    assert ids[np.flatnonzero(lacking[:, 1])].tolist() == ["case 2/0"]
    radiomics = model.entries["radiomics"]
    rows = radiomics.transform(data.cohort.cases, fitted_sources(data))[:, 0]
    np.testing.assert_allclose(logit(scores.opinions[:, 0, 1]), rows)


def fitted_sources(data: Any) -> Any:
    from fusion.classical.rows import Sources

    return Sources(crops=data.crops, features=data.features, accelerator="cpu")


def test_a_case_is_scored_alike_whoever_is_scored_with_it(data: Any, fit: Fit, score: Callable[..., Scores]) -> None:
    for name in ("composite", "late"):
        model = fit(name).model
        together = score(model).probabilities
        for row in (0, 2, 3, 4, 35):
            alone = score(model, [data.cohort.cases[row]]).probabilities
            np.testing.assert_allclose(alone[0], together[row], atol=1e-12)


def test_a_missing_block_is_the_training_mean_but_for_a_weighted_mean(
    data: Any, fit: Fit, score: Callable[..., Scores]
) -> None:
    bare = [case for case in data.cohort.cases if case.case_id == "case 2/0"]  # Has clinical values alone.
    stacked, late = fit("stacked").model, fit("late").model
    joined = stacked.join(bare, fitted_sources(data))
    assert np.isnan(joined).tolist() == [[False, True, True]]
    rows = stacked.final_rows(joined)
    np.testing.assert_array_equal(rows, [[joined[0, 0], *stacked.fills[1:]]])
    assert score(stacked, bare).probabilities[0, 1] == pytest.approx(stacked.final.probabilities(rows)[0])
    # The clinical score alone, calibrated.
    assert isinstance(late.final, WeightedMean)
    own = expit(late.join(bare, fitted_sources(data))[:, 0])
    expected = late.final.calibrators[0].apply(np.stack([1 - own, own], axis=1))
    np.testing.assert_allclose(score(late, bare).probabilities, expected)


def test_a_missing_score_is_filled_with_the_mean_of_those_out_of_fold(data: Any, fit: Fit) -> None:
    """And not with the mean of scores in sample, which are spread wider."""
    fitted = fit("stacked")
    train = [case for case in data.cohort.cases if case.patient_id in data.fold.train | data.fold.validation]
    in_sample = np.nanmean(fitted.model.join(train, fitted_sources(data)), axis=0)
    assert not np.allclose(fitted.model.fills, in_sample, atol=1e-6)
    assert np.isfinite(fitted.model.fills).all()


@pytest.mark.parametrize("name", ["composite", "late", "radiomics"])
def test_a_case_without_anything_is_told(data: Any, fit: Fit, score: Callable[..., Scores], name: str) -> None:
    nobody = replace(data.cohort.patients["patient 2"][0], clinical={})
    model = fit(name).model
    with pytest.raises(
        FusionError,
        match=rf"required something of {', '.join(model.entries)} for every case, came nothing for 1 case\(s\): "
        r"case 2/0; give them an image",
    ):
        score(model, [data.cohort.cases[0], nobody])


def test_what_is_explained_is_the_probability_that_is_reported(fit: Fit, score: Callable[..., Scores]) -> None:
    linear = fit("stacked").model
    rows = linear.background
    for calibrator in (linear.calibrator, PLATT):
        output = linear.with_calibrator(calibrator).output
        p = linear.final.probabilities(rows)
        expected = calibrator.apply(np.stack([1 - p, p], axis=1))[:, 1]
        np.testing.assert_allclose(output.probabilities(rows), expected)
        assert output.linear is not None
        coefficients, intercept = output.linear
        np.testing.assert_allclose(logit(expected), rows @ coefficients + intercept, atol=1e-6)
    # A step function of the logit is no line.
    steps = fit_calibrator("isotonic", np.array([0, 1]), np.array([[0.9, 0.1], [0.1, 0.9]]), np.ones(2))
    assert linear.with_calibrator(steps).output.linear is None
    assert fit("late").model.output.linear is None


def test_a_calibration_is_applied_to_the_whole_and_not_to_the_branches(fit: Fit, score: Callable[..., Scores]) -> None:
    model = fit("stacked").model
    plain, calibrated = score(model), score(model.with_calibrator(PLATT))
    np.testing.assert_array_equal(calibrated.probabilities, PLATT.apply(plain.probabilities))
    assert not np.allclose(calibrated.probabilities, plain.probabilities)
    np.testing.assert_array_equal(calibrated.opinions, plain.opinions)


def test_thresholds_are_frozen_by_name(fit: Fit) -> None:
    model = fit("clinical").model
    assert (model.threshold, model.thresholds) == (None, {})
    assert model.with_thresholds({"youden": 0.4}, primary="youden").threshold == 0.4
    assert model.with_thresholds({"youden": 0.4}, primary="cost").threshold is None


def test_which_branches_each_case_has_is_said(data: Any, fit: Fit) -> None:
    def lacking(name: str, cohort: Cohort) -> dict[str, list[str]]:
        present = fit(name).model.presence(cohort.cases, crops=data.crops, features=data.features)
        assert all(has.dtype == np.bool_ for has in present.values())
        return {
            branch: [case.case_id for case, there in zip(cohort.cases, has.tolist(), strict=True) if not there]
            for branch, has in present.items()
        }

    assert lacking("composite", data.cohort) == {
        "clinical": ["case 4/0"],
        "radiomics": ["case 2/0", "case 3/0"],
        "image": ["case 2/0"],
    }
    assert lacking("radiomics", data.cohort) == {"radiomics": ["case 2/0", "case 3/0"]}
    # A value of a column that the model does not know is none.
    other = tuple(replace(case, clinical={"size": 3.0}) for case in data.cohort.cases[:2])
    assert lacking("clinical", replace(data.cohort, cases=other)) == {"clinical": ["case 0/0", "case 0/1"]}


def test_what_it_makes_of_the_image_is_its_blocks_before_any_selection(data: Any, fit: Fit) -> None:
    model = fit("composite").model
    given = {"crops": data.crops, "features": data.features, "accelerator": "cpu"}
    rows = model.image_rows(data.cohort.cases, **given)
    assert {*rows} == {"image", "radiomics"}
    for branch, block in (("image", "deep"), ("radiomics", "radiomics")):
        own = model.entries[block].block
        assert rows[branch].shape == (len(data.cohort.cases), len(own.names))
        expected = own.transform(data.cohort.cases, Sources(**given))
        assert np.array_equal(rows[branch], expected, equal_nan=True)
    assert fit("clinical").model.image_rows(data.cohort.cases, **given) == {}


def test_scores_become_predictions(data: Any, fit: Fit, score: Callable[..., Scores]) -> None:
    model = fit("stacked").model
    scores = score(model)
    predictions = model.predictions(data.cohort.cases, scores, fold=data.fold)
    assert (predictions.model, set(predictions.folds)) == ("stacked", {0})
    assert predictions.parts == tuple(data.fold.part_of(case.patient_id) for case in data.cohort.cases)
    assert predictions.labels == tuple(case.label for case in data.cohort.cases)
    np.testing.assert_array_equal(predictions.probabilities, scores.probabilities)
    assert set(model.predictions(data.cohort.cases, scores, fold=None).parts) == {"test"}


class TestFacts:
    def test_they_say_what_was_looked_at(self, fit: Fit) -> None:
        model = fit("composite").model
        facts = model.facts()
        # Age, three shapes and grade; the width of the backbone, whatever PCA makes of it.
        assert facts["candidates"] == {"clinical": 5, "radiomics": 6, "deep": 96}
        assert (facts["radiomics_candidates"], facts["clinical_inputs"]) == (6, 5)
        assert facts["radiomics_features"] == len(model.feature_weights())
        assert facts["inputs"] == list(model.final_names)
        assert (facts["classifier"], facts["weights"]) == ({}, None)

    def test_filters_do_not_make_it_less(self, fit: Fit) -> None:
        facts = fit("radiomics", {"selection.filters": [{"name": "mrmr", "n_features": 2}]}, {"select": False}).model
        assert len(facts.final_names) == 2
        assert facts.facts()["candidates"] == {"radiomics": 6}

    def test_weights_of_a_mean_and_settings_of_a_classifier_are_told(self, fit: Fit) -> None:
        late = fit("late").model
        assert isinstance(late.final, WeightedMean)
        weights = late.facts()["weights"]
        assert list(weights) == ["clinical score", "radiomics score", "deep score"]
        assert list(weights.values()) == late.final.weights.tolist()
        tuned = fit("clinical", {"classifier.grid": {"C": [0.1]}}).model
        assert tuned.facts()["classifier"] == {"C": 0.1}


class TestFeatureWeights:
    def test_of_a_score_they_are_those_of_its_lasso(self, fit: Fit) -> None:
        model = fit("composite").model
        entry = model.entries["radiomics"]
        assert isinstance(entry, Score)
        by_name = dict(zip(entry.block.names, entry.selected.lasso.coefficients.tolist(), strict=True))
        weights = model.feature_weights()
        assert weights
        assert dict(weights) == {name: weight for name, weight in by_name.items() if weight != 0}

    def test_of_features_they_are_those_of_the_final_lasso(self, fit: Fit) -> None:
        model = fit("radiomics", model={"inputs": {"clinical": "features", "radiomics": "features"}}).model
        assert model.coefficients is not None
        by_name = dict(zip(model.names, model.coefficients.tolist(), strict=True))
        weights = model.feature_weights()
        assert 0 < len(weights) < len(model.final_names)  # Clinical columns are no radiomics features.
        assert weights == [(name, by_name[name]) for name, _ in weights]
        assert all(name.startswith("feature") for name, _ in weights)

    def test_without_a_final_lasso_they_are_those_of_a_linear_classifier(self, fit: Fit) -> None:
        inputs = {"inputs": {"clinical": "features", "radiomics": "features"}, "select": False}
        model = fit("radiomics", model=inputs).model
        assert model.final.linear is not None
        by_name = dict(zip(model.final_names, model.final.linear[0].tolist(), strict=True))
        assert dict(model.feature_weights()) == {f"feature {place}": by_name[f"feature {place}"] for place in range(6)}
        bayes = {"_target_": "sklearn.naive_bayes.GaussianNB"}
        assert fit("radiomics", {"classifier.estimator": bayes}, inputs).model.feature_weights() == []

    def test_the_largest_comes_first_and_none_is_zero(self, fit: Fit) -> None:
        for fitted in (fit("composite"), fit("late"), fit("radiomics", model={"select": False})):
            sizes = [abs(weight) for _, weight in fitted.model.feature_weights()]
            assert sizes == sorted(sizes, reverse=True)
            assert all(sizes)
        assert len(sizes) == 6  # Of either sign.
        assert fit("deep").model.feature_weights() == fit("clinical").model.feature_weights() == []


class TestNomogram:
    """What the rows of a patient add up to is what the model gives."""

    MODEL = {"inputs": {"clinical": "features", "radiomics": "score"}, "select": False}  # noqa: RUF012

    def logits(self, data: Any, model: ClassicalModel, patients: Any) -> NDArray[np.float64]:
        """Read off the table, tick by tick; between two ticks of a number by a ruler."""
        header, rows = model.tables()["nomogram.csv"]
        assert tuple(header) == ("fold", "variable", "label", "value")
        axes: dict[str, list[tuple[str, float]]] = {}
        for fold, variable, label, value in rows:
            assert fold == model.fold
            axes.setdefault(str(variable), []).append((str(label), float(str(value))))
        assert list(axes) == ["age (years)", "shape", "grade", "radiomics score", "(probability)", "(intercept)"]

        def ruler(variable: str, x: float) -> float:
            numbers = [(float(label), value) for label, value in axes[variable] if label != "missing"]
            marks, values = zip(*sorted(numbers), strict=True)
            assert marks[0] - 1e-9 <= x <= marks[-1] + 1e-9
            return float(np.interp(x, marks, values))

        joined = model.final_rows(model.join(patients, fitted_sources(data)))
        found = []
        for case, row in zip(patients, joined, strict=True):
            total = dict(axes["(intercept)"])[""] + ruler("age (years)", case.clinical["age"])
            total += dict(axes["shape"])[case.clinical["shape"]] + dict(axes["grade"])[case.clinical["grade"]]
            found.append(total + ruler("radiomics score", row[model.final_names.index("radiomics score")]))
        return np.array(found)

    def patients(self, data: Any) -> list[Any]:
        """Training patients: the axes cover them."""
        trained = data.fold.train | data.fold.validation
        return [case for case in data.cohort.cases if case.patient_id in trained and case.clinical]

    def test_rows_add_up_to_the_logit_before_calibration(
        self, data: Any, fit: Fit, score: Callable[..., Scores]
    ) -> None:
        model = fit("composite", model=self.MODEL).model
        # In sample a score may lie beyond those out of fold, that the axis is of.
        low, high = model.ranges[model.final_names.index("radiomics score")]
        joined = model.final_rows(model.join(self.patients(data), fitted_sources(data)))
        scores = joined[:, model.final_names.index("radiomics score")]
        inside = (scores >= low) & (scores <= high)
        patients = [case for case, there in zip(self.patients(data), inside.tolist(), strict=True) if there]
        assert len(patients) > 15
        expected = logit(score(model, patients).probabilities[:, 1])
        np.testing.assert_allclose(self.logits(data, model, patients), expected, atol=1e-5)
        # They do so whatever the calibration: it is in the probabilities' axis.
        np.testing.assert_allclose(self.logits(data, model.with_calibrator(PLATT), patients), expected, atol=1e-5)

    @pytest.mark.parametrize("calibrated", [False, True])
    def test_probabilities_stand_where_the_model_gives_them(self, fit: Fit, calibrated: bool) -> None:
        model = fit("composite", model=self.MODEL).model
        model = model.with_calibrator(PLATT) if calibrated else model
        _, rows = model.tables()["nomogram.csv"]
        ticks = [(float(str(label)), float(str(value))) for _, variable, label, value in rows
                 if variable == "(probability)"]  # fmt: skip
        assert len(ticks) > 3
        for wanted, total in ticks:
            p = expit(total)
            given = PLATT.apply(np.array([[1 - p, p]]))[0, 1] if calibrated else p
            assert given == pytest.approx(wanted, abs=1e-6)

    def test_only_a_linear_model_has_one(self, fit: Fit) -> None:
        bayes = {"classifier.estimator": {"_target_": "sklearn.naive_bayes.GaussianNB"}}
        assert fit("clinical", bayes).model.tables() == {}
        assert fit("late").model.tables() == {}

    def test_scores_of_clinical_columns_have_an_axis_of_their_own(self, fit: Fit) -> None:
        """The columns behind the score have none: they are not what the model adds up."""
        _, rows = fit("stacked").model.tables()["nomogram.csv"]
        names = {str(variable) for _, variable, _, _ in rows}
        assert names == {"clinical score", "radiomics score", "deep score", "(probability)", "(intercept)"}

    def test_an_axis_covers_the_training_rows(self, fit: Fit) -> None:
        model = fit("stacked").model
        _, rows = model.tables()["nomogram.csv"]
        for name, (low, high) in zip(model.final_names, model.ranges.tolist(), strict=True):
            marks = [float(str(label)) for _, variable, label, _ in rows if variable == name]
            assert min(marks) <= low < high <= max(marks)


def test_background_is_spread_over_the_training_rows(data: Any, fit: Fit) -> None:
    model = fit("stacked").model
    trained = data.fold.train | data.fold.validation
    n_rows = sum(case.patient_id in trained for case in data.cohort.cases)
    assert model.background.shape == (min(50, n_rows), 3)
    assert np.isfinite(model.background).all()
    np.testing.assert_array_equal(model.ranges, np.stack([model.background.min(0), model.background.max(0)], axis=1))


def test_numbers_of_the_training_patients_are_remembered(data: Any, fit: Fit) -> None:
    known = complete(data)
    trained = known.fold.train | known.fold.validation
    ages: list[Any] = [case.clinical["age"] for case in known.cohort.cases if case.patient_id in trained]
    assert fit("clinical").model.numbers == {"age": (min(ages), max(ages), "years")}
    assert math.isfinite(min(ages))


def test_settings_are_those_that_scoring_and_readers_need(fit: Fit) -> None:
    settings = fit("composite").model.settings
    assert set(settings) == {"model", "imaging", "radiomics", "classifier", "selection"}
    assert settings["model"]["name"] == "composite"


def test_a_cohort_without_a_single_mask_is_scored(data: Any, fit: Fit) -> None:
    nothing = FeatureTable(case_ids=(), names=(), values=np.zeros((0, 0)))
    crops = replace(data.crops, case_ids=(), array=data.crops.array[:0], key="none")
    for name in ("composite", "late"):
        cases = [case for case in data.cohort.cases if case.clinical]
        scores = fit(name).model.score_cases(cases, crops=crops, features=nothing, accelerator="cpu")
        assert np.isfinite(scores.probabilities).all()
        assert np.isnan(scores.opinions[:, -2:]).all()
