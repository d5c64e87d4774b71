from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from swept_runs import CONFIG, predictions, write_run

from fusion.sweeps.journal import JOURNAL, open_study
from fusion.sweeps.prune_trial import PruneTrial
from fusion.sweeps.pruning import STEPS_OF_FOLD, Pruned, announce_trial, fold_scores, pruning_callbacks, report_fold
from fusion.sweeps.score import inner_score

MEDIAN = {"name": "median", "n_startup_trials": 2, "n_warmup_epochs": 1, "interval_epochs": 1}
SPLIT = {"split": {"n_inner_folds": 1}}


def study_of(sweep: Path, *curves: list[float]) -> Any:
    """A study with finished trials that had these inner scores from epoch to epoch."""
    study = open_study(sweep / JOURNAL, pruner=None)
    for curve in curves:
        trial = study.ask()
        for epoch, value in enumerate(curve):
            trial.report(value, epoch)
        study.tell(trial, curve[-1])
    return study


def begin(sweep: Path, study: Any, *, name: str = "run", finished: tuple[int, ...] = (), strength: float = 1) -> Path:
    run = write_run(sweep / name, predictions(strength, seed=1), finished=finished, is_joined=False)
    announce_trial(run, sweep_dir=sweep, number=study.ask().number, pruner=MEDIAN)
    return run


def epoch(callback: PruneTrial, number: int, auc: float) -> None:
    figures = {"validation/auc": auc}
    callback.on_train_epoch_end(SimpleNamespace(current_epoch=number, callback_metrics=figures), None)  # type: ignore[arg-type]


def reported(sweep: Path) -> dict[int, float]:
    return dict(open_study(sweep / JOURNAL, pruner=None).trials[-1].intermediate_values)


def test_a_run_below_the_median_of_the_finished_ones_is_given_up_after_the_warm_up(tmp_path: Path) -> None:
    run = begin(tmp_path, study_of(tmp_path, [0.6, 0.7, 0.8], [0.6, 0.8, 0.9]))
    (callback,) = pruning_callbacks(run, SPLIT)
    epoch(callback, 0, 0.3)
    with pytest.raises(Pruned, match=r"given up in epoch 2: an inner AUC of 0\.500, below the median"):
        epoch(callback, 1, 0.5)


def test_a_run_as_good_as_the_median_goes_on_and_its_best_epoch_counts(tmp_path: Path) -> None:
    run = begin(tmp_path, study_of(tmp_path, [0.6, 0.7, 0.8], [0.6, 0.8, 0.9]))
    (callback,) = pruning_callbacks(run, SPLIT)
    epoch(callback, 0, 0.9)
    epoch(callback, 1, 0.2)
    epoch(callback, 2, float("nan"))
    assert reported(tmp_path) == {0: 0.9, 1: 0.9}
    # A run that goes on after it was interrupted comes by an epoch again.
    (callback,) = pruning_callbacks(run, SPLIT)
    epoch(callback, 1, 0.95)
    epoch(callback, 3, 0.3)
    assert reported(tmp_path) == {0: 0.9, 1: 0.9, 3: 0.9}


def test_later_folds_add_to_the_finished_ones(tmp_path: Path) -> None:
    run = begin(tmp_path, study_of(tmp_path), finished=(0,))
    (first,) = fold_scores(run)
    (callback,) = pruning_callbacks(run, SPLIT)
    epoch(callback, 0, 0.4)
    report_fold(run, n_folds=2)
    expected = {STEPS_OF_FOLD - 1: first, STEPS_OF_FOLD: pytest.approx((first + 0.4) / 2)}
    assert reported(tmp_path) == expected


def test_the_mean_over_the_folds_is_the_inner_score_of_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", predictions(0.5, seed=2))
    score = inner_score(run)
    assert score is not None
    assert sum(fold_scores(run)) / 2 == pytest.approx(score.auc, abs=1e-12)


def test_models_without_epochs_are_given_up_between_folds_but_not_after_the_last(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    for _ in range(2):
        trial = study.ask()
        for step in (STEPS_OF_FOLD - 1, 2 * STEPS_OF_FOLD - 1):
            trial.report(0.999, step)
        study.tell(trial, 0.999)
    with pytest.raises(Pruned, match="given up after 1 folds"):
        report_fold(begin(tmp_path, study, finished=(0,), strength=0.1), n_folds=2)
    report_fold(begin(tmp_path, study, name="other", finished=(0, 1), strength=0.1), n_folds=2)


def test_what_is_no_running_trial_is_left_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "alone", predictions(1, seed=1), is_joined=False)
    assert pruning_callbacks(run, SPLIT) == []
    report_fold(run, n_folds=2)
    study = study_of(tmp_path)
    run = begin(tmp_path, study, finished=(0,))
    study.tell(0, 0.5)
    assert pruning_callbacks(run, SPLIT) == []
    report_fold(run, n_folds=2)
    assert reported(tmp_path) == {}
    # Moved to another place without its sweep.
    moved = run.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    assert pruning_callbacks(moved, SPLIT) == []


@pytest.mark.parametrize("split", [{"n_inner_folds": 3}, {"n_inner_folds": 1, "grid": [{"l1": [0.0, 1.0]}]}], ids=str)
def test_epochs_say_nothing_of_an_inner_score_that_inner_folds_give(tmp_path: Path, split: dict[str, Any]) -> None:
    run = begin(tmp_path, study_of(tmp_path))
    assert pruning_callbacks(run, CONFIG | {"split": split}) == []
