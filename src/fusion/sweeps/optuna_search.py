"""A search by Optuna: trials are asked for, run as jobs, and told, until the study has as many as it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion.errors import InputError, Problem
from fusion.sweeps.pruning import PRUNERS, announce_trial
from fusion.sweeps.records import ENDED_WELL, JobRecord
from fusion.sweeps.search_space import SearchSpace
from fusion.sweeps.study import SAMPLERS, SharedStudy, Trial

_FAILED = ("failed", "killed")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What ``conf/hydra/sweeper/optuna.yaml`` says.

    Attributes:
        n_trials: Of the study, however many processes work on it.
        seed: Of what is suggested.
        sampler, pruner: ``name`` and what that takes.
    """

    n_trials: int
    seed: int
    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]

    def __post_init__(self) -> None:
        names = (("sampler", self.sampler["name"], SAMPLERS), ("pruner", self.pruner["name"], PRUNERS))
        problems = [
            Problem(where=f"hydra.sweeper.{what}.name", required=" or ".join(known), came=repr(name))
            for what, name, known in names
            if name not in known
        ]
        if self.n_trials < 1:
            problems.append(Problem(where="hydra.sweeper.n_trials", required="at least 1", came=str(self.n_trials)))
        if problems:
            raise InputError("The search", problems, "See conf/hydra/sweeper/optuna.yaml.")


def run_search(
    search: Search,
    space: SearchSpace,
    *,
    sweep_dir: Path,
    launch: Callable[[Sequence[tuple[str, ...]], int], Sequence[JobRecord]],
    run_dir: Callable[[tuple[str, ...]], Path],
    n_jobs: int,
    stop_on_failure: bool,
) -> None:
    """Search until the study has its trials; several processes may do so with the same folder at once.

    A trial whose job fails is a failed one, and the search goes on. What a process leaves behind that is killed is done
    again, with the same values, by another one or by the same command.

    Args:
        search: How.
        space: What.
        sweep_dir: The sweep's folder.
        launch: Runs jobs, given their overrides and the number of the first, and says what became of each.
        run_dir: The run folder of a job.
        n_jobs: Trials that are asked for, and run, at once.
        stop_on_failure: Whether the first failure ends it.

    Raises:
        FusionError: If the folder holds a study of other values.
    """
    study = SharedStudy(sweep_dir=sweep_dir, space=space, sampler=search.sampler, seed=search.seed)
    study.begin()
    while True:
        with ExitStack() as held:
            trials = study.take(n_jobs, n_trials=search.n_trials, held=held)
            for trial in trials if search.pruner["name"] != "none" else ():
                where = run_dir(trial.overrides)
                announce_trial(where, sweep_dir=sweep_dir, number=trial.number, pruner=search.pruner)
            ended = _run(trials, launch)
            for trial, record in ended:
                study.tell(trial, state=record.state, inner_score=record.inner_score)
        if len(ended) < len(trials) or (stop_on_failure and any(record.state in _FAILED for _, record in ended)):
            return
        if not trials and not study.wait():
            return


def _run(
    trials: Sequence[Trial], launch: Callable[[Sequence[tuple[str, ...]], int], Sequence[JobRecord]]
) -> list[tuple[Trial, JobRecord]]:
    """Those of the trials whose jobs came to an end."""
    if not trials:
        return []
    records = launch([trial.overrides for trial in trials], min(trial.number for trial in trials))
    pairs = zip(trials, records, strict=True)
    return [(trial, record) for trial, record in pairs if record.state in (*ENDED_WELL, *_FAILED)]
