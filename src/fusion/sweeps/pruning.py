"""Giving up runs of a search that promise too little, by their inner scores as they train."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fusion.errors import Pruned
from fusion.runs.folder import INNER, RunFolder
from fusion.storage import write_json
from fusion.sweeps.journal import JOURNAL, open_study

if TYPE_CHECKING:
    import lightning as L
    import optuna
    from optuna.pruners import BasePruner

# In a run folder: which trial of which study the run is.
TRIAL = ".trial.json"
# A fold's epochs are its first steps, its end is its last: the same in every run, however many epochs it has.
STEPS_OF_FOLD = 10_000
PRUNERS = ("median", "none")


def announce_trial(run_dir: Path, *, sweep_dir: Path, number: int, pruner: Mapping[str, Any]) -> None:
    """Leave in a run folder what its process has to know to report to the study.

    Args:
        run_dir: That the trial's job will run in.
        sweep_dir: That the study lies in.
        number: Of the trial.
        pruner: ``name``, one of ``PRUNERS``, and with ``median`` what that takes.
    """
    journal = os.path.relpath(sweep_dir / JOURNAL, run_dir)
    write_json(run_dir / TRIAL, {"journal": journal, "number": number, "pruner": dict(pruner)})


def pruning_callbacks(run_dir: Path, config: Mapping[str, Any]) -> list[L.Callback]:
    """What reports the epochs of a fold's own fit; nothing where the run is no trial of a search.

    Where inner folds or a grid choose, the inner score is known at the fold's end only, and no epoch is reported.

    Args:
        run_dir: The run folder.
        config: Of the run.
    """
    split = config["split"]
    if split["n_inner_folds"] > 1 or split.get("grid") or (trial := _read(run_dir)) is None:
        return []
    from fusion.sweeps.prune_trial import PruneTrial

    return [PruneTrial(trial)]


def report_fold(run_dir: Path, *, n_folds: int) -> None:
    """Report the inner score of the finished folds.

    Args:
        run_dir: The run folder, in which a fold was just finished.
        n_folds: That the run will have; after the last of them nothing is left to be saved.

    Raises:
        Pruned: If it promises too little.
    """
    if (trial := _read(run_dir)) is None:
        return
    scores = fold_scores(run_dir)
    if scores:
        step = len(scores) * STEPS_OF_FOLD - 1
        trial.report(step, fmean(scores), said=f"after {len(scores)} folds", may_prune=len(scores) < n_folds)


@dataclass(frozen=True, kw_only=True)
class ReportingTrial:
    """The trial that a run is.

    Attributes:
        run_dir: The run folder.
        study: With its pruner.
        number: Of the trial.
    """

    run_dir: Path
    study: optuna.Study
    number: int

    def report_epoch(self, epoch: int, auc: float) -> None:
        """Report the mean of the finished folds' inner scores and of this fold's best epoch.

        Args:
            epoch: That ended, from 0.
            auc: On the fold's inner part; higher is better.

        Raises:
            Pruned: If it promises too little.
        """
        if math.isnan(auc):
            return
        scores = fold_scores(self.run_dir)
        first = len(scores) * STEPS_OF_FOLD
        of_fold = [value for step, value in self._values.items() if step >= first]
        said = f"in epoch {epoch + 1}" + f" of fold number {len(scores) + 1}" * bool(scores)
        self.report(first + epoch, max([fmean([*scores, auc]), *of_fold]), said=said, may_prune=True)

    def report(self, step: int, value: float, *, said: str, may_prune: bool) -> None:
        """Report a value, once for each step: a run that goes on after it was interrupted comes by some twice.

        Raises:
            Pruned: If it promises too little, where the run may be pruned.
        """
        storage, trial_id = self.study._storage, self._trial._trial_id
        if step in self._values:
            return
        storage.set_trial_intermediate_value(trial_id, step, value)
        if may_prune and self.study.pruner.prune(self.study, storage.get_trial(trial_id)):
            raise Pruned(f"given up {said}: an inner AUC of {value:.3f}, below the median of the trials before")

    @property
    def _trial(self) -> optuna.trial.FrozenTrial:
        return self.study.get_trials(deepcopy=False)[self.number]

    @property
    def _values(self) -> Mapping[int, float]:
        return self._trial.intermediate_values


def fold_scores(run_dir: Path) -> list[float]:
    """Inner AUC of each finished fold that has one; higher is better."""
    from fusion.comparison.inner import inner_auc
    from fusion.evaluation.evaluate import of_part
    from fusion.evaluation.pooling import pool_cases
    from fusion.runs.tables import read_predictions

    run = RunFolder.open(run_dir)
    config = run.config
    tables = [read_predictions(run.fold(number) / INNER, model=config["model"]["name"]) for number in run.finished]
    inner = [of_part(pool_cases(table), "validation") for table in tables]
    scores = [inner_auc(of_fold, config, level=config["evaluation"]["level"]) for of_fold in inner]
    return [score.auc for score in scores if score is not None]


def _read(run_dir: Path) -> ReportingTrial | None:
    """The trial that a run is; None where it is none, or one that has ended: then its run goes on undisturbed."""
    path = run_dir / TRIAL
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    journal = run_dir / content["journal"]
    # A run folder that was moved out of its sweep is a run like any other.
    if not journal.is_file():
        return None
    study = open_study(journal, pruner=_pruner(content["pruner"]))
    trial = ReportingTrial(run_dir=run_dir, study=study, number=content["number"])
    return trial if trial._trial.state.name == "RUNNING" else None


def _pruner(settings: Mapping[str, Any]) -> BasePruner:
    from optuna.pruners import MedianPruner, NopPruner

    if settings["name"] == "none":
        return NopPruner()
    return MedianPruner(
        n_startup_trials=settings["n_startup_trials"],
        n_warmup_steps=settings["n_warmup_epochs"],
        interval_steps=settings["interval_epochs"],
    )
