from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fusion.errors import InputError
from fusion.records import Fold, Predictions
from fusion.training.tuning import FoldFit, TunedFit, fit_tuned, grid_settings, trial_rows, with_setting

GRID = [{"l1": [1.0, 1e-3]}, {"model.dropout": [0.1, 0.2]}]


class Recorder:
    """Fits as the data do, and remembers each fit."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self.fits: list[tuple[Fold, float, str]] = []

    def __call__(self, fold: Fold, config: Mapping[str, Any], title: str) -> FoldFit:
        self.fits.append((fold, config["l1"], title))
        fit: FoldFit = self._data.fit_and_score(fold, config, title)
        return fit


@pytest.fixture
def tune(config: Callable[..., dict[str, Any]]) -> Callable[..., tuple[TunedFit, Recorder]]:
    """Tunes with dotted keys changed, and gives the fits that it took; the score prefers ``l1`` = 1e-3."""

    def run(data: Any, **changes: Any) -> tuple[TunedFit, Recorder]:
        settings = config({"trainer.max_epochs": 1} | {key.replace("__", "."): value for key, value in changes.items()})
        fit = Recorder(data)
        tuned = fit_tuned(
            data.cohort, data.fold, config=settings, fit=fit, score=lambda inner: -abs(fit.fits[-1][1] - 1e-3)
        )
        return tuned, fit

    return run


def rows_of(tuned: TunedFit, patients: frozenset[str]) -> Predictions:
    return tuned.fit.predictions.select(patient in patients for patient in tuned.fit.predictions.patient_ids)


def test_without_a_grid_the_folds_own_inner_part_is_predicted_by_its_own_model(data: Any, tune: Any) -> None:
    tuned, fit = tune(data)
    assert [(fold, title) for fold, _, title in fit.fits] == [(data.fold, "")]
    assert (tuned.trials, tuned.setting) == ((), {})
    own = rows_of(tuned, data.fold.validation)
    assert tuned.inner.patient_ids == own.patient_ids
    assert np.array_equal(tuned.inner.probabilities, own.probabilities)


def test_out_of_fold_predictions_hold_each_training_patient_once_and_no_other(data: Any, tune: Any) -> None:
    tuned, fit = tune(data, split__n_inner_folds=3)
    outer = data.fold.train | data.fold.validation
    assert len(fit.fits) == 3 + 1
    assert fit.fits[-1][0] == data.fold
    for fold, _, title in fit.fits[:-1]:
        assert not (fold.train | fold.validation | fold.test) & data.fold.test
        assert title == f"inner fold {fold.number}"
    assert set(tuned.inner.patient_ids) == outer
    assert set(tuned.inner.parts) == {"validation"}
    assert set(tuned.inner.folds) == {data.fold.number}
    cases = [case.case_id for case in data.cohort.cases if case.patient_id in outer]
    assert sorted(tuned.inner.case_ids or ()) == sorted(cases)


def test_out_of_fold_predictions_are_by_a_model_that_did_not_see_the_patient(data: Any, tune: Any) -> None:
    tuned, fit = tune(data, split__n_inner_folds=2)
    first = fit.fits[0][0]
    again = data.fit_and_score(first, tuned_config(tune, data, split__n_inner_folds=2), "")
    expected = again.predictions.select(patient in first.test for patient in again.predictions.patient_ids)
    held = tuned.inner.select(patient in first.test for patient in tuned.inner.patient_ids)
    assert held.case_ids == expected.case_ids
    assert np.array_equal(held.probabilities, expected.probabilities)


def tuned_config(tune: Any, data: Any, **changes: Any) -> Mapping[str, Any]:
    seen: list[Mapping[str, Any]] = []

    class Stop(Exception):  # noqa: N818 -- it ends the fit, it is no error.
        pass

    original = data.__class__.fit_and_score

    def remember(self: Any, fold: Fold, config: Mapping[str, Any], title: str = "") -> FoldFit:
        seen.append(config)
        raise Stop

    data.__class__.fit_and_score = remember
    try:
        with pytest.raises(Stop):
            tune(data, **changes)
    finally:
        data.__class__.fit_and_score = original
    return seen[0]


@pytest.mark.parametrize("n_inner", [1, 2])
def test_the_best_combination_by_inner_score_is_kept_the_first_of_equals(data: Any, tune: Any, n_inner: int) -> None:
    tuned, fit = tune(data, split__n_inner_folds=n_inner, split__grid=GRID)
    assert tuned.setting == {"l1": 1e-3, "model.dropout": 0.1}
    assert tuned.fit.model.settings["model"]["dropout"] == 0.1
    assert [trial.setting for trial in tuned.trials] == grid_settings(
        {"split": {"grid": GRID}, "l1": 0, "model": {"dropout": 0}}
    )
    assert all(len(trial.scores) == n_inner for trial in tuned.trials)
    # With one inner part the fit that was scored is the model; a cross-validation fits once more on the whole.
    assert len(fit.fits) == (4 if n_inner == 1 else 4 * 2 + 1)
    assert fit.fits[-1][1] == 1e-3
    if n_inner == 1:
        own = rows_of(tuned, data.fold.validation)
        assert np.array_equal(tuned.inner.probabilities, own.probabilities)


def test_tuning_never_sees_the_test_part(data: Any, tune: Any) -> None:
    flipped = {"benign": "malignant", "malignant": "benign"}
    cases = tuple(
        replace(case, label=flipped[case.label], clinical={}) if case.patient_id in data.fold.test else case
        for case in data.cohort.cases
    )
    spoiled = replace(data, cohort=replace(data.cohort, cases=cases))
    one, other = (tune(each, split__n_inner_folds=2, split__grid=[{"l1": [0.0, 1e-3]}])[0] for each in (data, spoiled))
    assert one.setting == other.setting
    assert one.trials == other.trials
    assert one.inner == replace(other.inner, probabilities=one.inner.probabilities)
    assert np.array_equal(one.inner.probabilities, other.inner.probabilities)


def test_calibration_is_fitted_on_the_inner_predictions_and_applied_to_all(data: Any, tune: Any) -> None:
    raw, _ = tune(data)
    tuned = raw.calibrated("platt")
    again = raw.calibrated("platt")
    for name in ("inner", "fit"):
        before, after = (getattr(each, name) for each in (raw, tuned))
        before, after = (each if name == "inner" else each.predictions for each in (before, after))
        assert np.allclose(after.probabilities, tuned.fit.model.calibrator.apply(before.probabilities))
        assert not np.allclose(after.probabilities, before.probabilities)
    assert tuned.fit.model.calibrator.state() == again.fit.model.calibrator.state()
    # The checkpoint's model says what the predictions say.
    inputs = tuned.fit.model.assemble(tuned.fit.cases, crops=data.crops, features=data.features)
    scores = tuned.fit.model.score(inputs, device="cpu")
    assert np.allclose(scores.probabilities, tuned.fit.predictions.probabilities)
    assert np.array_equal(tuned.fit.scores.probabilities, tuned.fit.predictions.probabilities)


def test_calibration_counts_patients_and_not_images(data: Any, tune: Any) -> None:
    raw, _ = tune(data)
    patient = next(name for name in raw.inner.patient_ids if raw.inner.patient_ids.count(name) == 1)
    # As if the patient had been imaged once more, with the same result.
    image = raw.inner.select(name == patient for name in raw.inner.patient_ids)
    more = Predictions.concatenate([raw.inner, replace(image, case_ids=("once more",))])
    maps = [replace(raw, inner=inner).calibrated("platt").fit.model.calibrator.state() for inner in (raw.inner, more)]
    assert maps[0]["intercepts"] == pytest.approx(maps[1]["intercepts"], abs=1e-9)
    assert maps[0]["slopes"] == pytest.approx(maps[1]["slopes"])


def test_thresholds_are_frozen_into_the_model(data: Any, tune: Any) -> None:
    tuned = tune(data)[0].with_thresholds({"youden": 0.3, "cost": 0.1}, primary="cost")
    assert tuned.fit.model.thresholds == {"youden": 0.3, "cost": 0.1}
    assert tuned.fit.model.threshold == 0.1


def test_a_grid_is_every_combination_in_its_order(config: Callable[..., dict[str, Any]]) -> None:
    assert grid_settings(config({"split.grid": GRID})) == [
        {"l1": 1.0, "model.dropout": 0.1},
        {"l1": 1.0, "model.dropout": 0.2},
        {"l1": 1e-3, "model.dropout": 0.1},
        {"l1": 1e-3, "model.dropout": 0.2},
    ]
    assert grid_settings(config()) == [{}]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"l2": [1]}, r"split.grid.l2: required a key of l1, backbone, .*, came 'l2'"),
        ({"imaging.n_px": [32]}, r"split.grid.imaging.n_px: required a key of l1, .*, came 'imaging.n_px'"),
        ({"model.width": [8]}, r"split.grid.model.width: required a key of the configuration, .*, came 'model.width'"),
        ({"model.dropout.x": [8]}, r"split.grid.model.dropout.x: required a key of the configuration, .*"),
        (
            {"model": [8]},
            r"group cannot be tuned as a whole; name a key in it such as model.branches, came the group mo",
        ),
        ({"classifier": ["svm"]}, r"name a key in it such as classifier.grid.C, came the group classifier"),
        (
            {"classifier.grid": [{"C": [1]}]},
            r"name a key in it such as classifier.grid.C, came the group classifier.gr",
        ),
        ({"head.none": [8]}, r"split.grid.head.none: required one key: a group cannot .* name a key in it, came"),
        ({"deep": [8]}, r"split.grid.deep: required a key of the configuration, .*, came 'deep'"),
        (
            {"classifier.grid.C": [0.1, 1]},
            r"a list of lists, since classifier.grid.C is a list .*such as \[\[0.5\]\], came",
        ),
        ({"l1.x": [8]}, r"split.grid.l1.x: required a key of the configuration, .*, came 'l1.x'"),
        ({"l1": 0.1}, r"split.grid.l1: required a list of values, came 0.1"),
        ({"l1": []}, r"split.grid.l1: required a list of values, came \[\]"),
        ([3], r"split.grid: required a list such as .*, came \[3\]"),
    ],
)
def test_a_grid_that_cannot_be_tuned_is_told(config: Callable[..., dict[str, Any]], grid: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        grid_settings(
            config(
                {
                    "split.grid": grid if isinstance(grid, list) else [grid],
                    "classifier.grid": {"C": [0.5]},
                    "head.none": {},
                    "deep": None,
                }
            )
        )


def test_values_of_a_key_that_is_a_list_or_null_are_tuned(config: Callable[..., dict[str, Any]]) -> None:
    grid = [{"classifier.grid.C": [[0.1], [1, 2]]}, {"deep.n_components": [None, 8]}]
    settings = config({"split.grid": grid, "classifier.grid": {"C": [0.5]}, "deep.n_components": None})
    found = grid_settings(settings)
    assert [setting["classifier.grid.C"] for setting in found] == [[0.1], [0.1], [1, 2], [1, 2]]
    assert [setting["deep.n_components"] for setting in found] == [None, 8, None, 8]
    assert with_setting(settings, found[3])["classifier"]["grid"] == {"C": [1, 2]}


def test_a_key_of_a_group_that_the_model_does_without_is_none(config: Callable[..., dict[str, Any]]) -> None:
    settings = config({"split.grid": [{"classifier.grid.C": [[1]]}]})
    del settings["classifier"]
    with pytest.raises(InputError, match=r"required a key of the configuration, .*, came 'classifier.grid.C'"):
        grid_settings(settings)


def test_a_setting_changes_a_copy(config: Callable[..., dict[str, Any]]) -> None:
    before = config()
    changed = with_setting(before, {"l1": 7, "optimizer.lr": 8})
    assert (changed["l1"], changed["optimizer"]["lr"]) == (7, 8)
    assert before == config()


def test_trials_become_a_table(data: Any, tune: Any) -> None:
    tuned, _ = tune(data, split__grid=[{"l1": [1.0, 1e-3]}])
    assert trial_rows(4, tuned.trials) == (
        ["fold", "l1", "inner_fold", "auc"],
        [[4, 1.0, 0, -0.999], [4, 1e-3, 0, 0.0]],
    )
