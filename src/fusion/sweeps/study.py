"""An Optuna study in the sweep's folder, which several processes work on together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.errors import FusionError
from fusion.storage import file_lock
from fusion.sweeps.journal import JOURNAL, mend_journal, open_study
from fusion.sweeps.search_space import Params, SearchSpace

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_LOCKS = ".jobs"
# What a study and its trials carry beside their values.
_SPACE, _REPEATS, _INSTEAD_OF = "space", "repeats", "instead_of"
SAMPLERS = ("tpe", "gp", "random", "grid")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One choice of values.

    Attributes:
        number: In the study, from 0.
        overrides: Of its job.
    """

    number: int
    overrides: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SharedStudy:
    """A study that is kept on disk, operation by operation, and goes on where it was left.

    A process locks the trials that it does, so that the trial of one that died is known by its free lock. It is done
    again, with the same values.

    Attributes:
        sweep_dir: Its folder.
        space: What is searched.
        sampler: ``name``, one of ``SAMPLERS``, and ``n_startup_trials`` of those that learn.
        seed: What is suggested depends on it, on the number of trials before and on what they gave, not on the process.
    """

    sweep_dir: Path
    space: SearchSpace
    sampler: Mapping[str, Any]
    seed: int

    def begin(self) -> None:
        """Make the study where there is none; in one that is there, let what failed before be done once more.

        Raises:
            FusionError: If the folder holds a study of other values, or the sampler cannot search these.
        """
        if self.sampler["name"] == "grid":
            self.space.combinations()
        with self._lock("study"):
            mend_journal(self._journal)
            study = self._open()
            begun, asked = study.user_attrs.get(_SPACE), self.space.as_json()
            if begun is None:
                study.set_user_attr(_SPACE, asked)
            elif begun != asked:
                raise FusionError(
                    f"{self.sweep_dir}: required the values to search that this sweep was begun with, came others "
                    f"({', '.join(_differences(begun, asked))}); choose a new folder with hydra.sweep.dir=..., or give "
                    "the same ones: only n_trials, sampler and pruner may change"
                )
            for trial in self._counted(study):
                if trial.state.name == "FAIL":
                    study.enqueue_trial(trial.params, user_attrs={_INSTEAD_OF: trial.number})

    def take(self, most: int, *, n_trials: int, held: ExitStack) -> list[Trial]:
        """Take trials that no other process does: first those that one left behind, then new ones.

        Args:
            most: To take.
            n_trials: Of the whole study, by all processes together.
            held: Gives them back when it closes.

        Returns:
            Fewer, or none, where no more are to be had.
        """
        taken: list[Trial] = []
        with self._lock("study"):
            study = self._open()
            for trial in _of_state(study, "RUNNING"):
                if len(taken) < most and held.enter_context(self._lock_trial(trial.number, wait=False)):
                    taken += self._left_behind(study, trial)
            while len(taken) < most and self._is_wanted(study, n_trials):
                new = self._new(study)
                held.enter_context(self._lock_trial(new.number, wait=False))
                taken.append(Trial(number=new.number, overrides=self.space.overrides(new.params)))
        return taken

    def wait(self) -> bool:
        """Wait until another process is done with a trial; False, at once, where no trial runs."""
        with self._lock("study"):
            running = _of_state(self._open(), "RUNNING")
        if not running:
            return False
        with self._lock_trial(running[0].number, wait=True):
            return True

    def tell(self, trial: Trial, *, state: str, inner_score: float | None) -> None:
        """Keep what became of a trial.

        Args:
            trial: That was taken.
            state: ``finished``, ``pruned``, or anything else for a failure.
            inner_score: Of a finished one, higher is better; None is a failure, too.
        """
        from optuna.trial import TrialState

        with self._lock("study"):
            study = self._open()
            if state == "finished" and inner_score is not None:
                study.tell(trial.number, inner_score)
            else:
                study.tell(trial.number, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)

    def _is_wanted(self, study: optuna.Study, n_trials: int) -> bool:
        """Whether trials are left: some that wait, or values that were not tried."""
        n_begun = len(self._counted(study))
        return bool(_of_state(study, "WAITING")) or (n_begun < n_trials and n_begun < self.space.size)

    def _new(self, study: optuna.Study) -> optuna.Trial:
        """A trial of values that no other has."""
        from optuna.trial import TrialState

        tried = {self.space.overrides(trial.params) for trial in self._counted(study) if self._is_whole(trial)}
        if self.sampler["name"] == "grid" and not _of_state(study, "WAITING"):
            study.enqueue_trial(next(each for each in self.space.combinations() if self._is_new(each, tried)))
        trial = self._ask(study)
        if self._is_new(trial.params, tried):
            return trial
        trial.set_user_attr(_REPEATS, True)
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial(self._draw(study, tried))
        return self._ask(study)

    def _ask(self, study: optuna.Study) -> optuna.Trial:
        study.sampler = self._sampler(study)
        return study.ask(dict(self.space.distributions))

    def _draw(self, study: optuna.Study, tried: set[tuple[str, ...]]) -> dict[str, Any]:
        """Values at random that were not tried."""
        from optuna.samplers import RandomSampler

        sampler, trial = RandomSampler(seed=self._seed(study)), study.trials[-1]
        while True:
            params = {
                key: sampler.sample_independent(study, trial, key, distribution)
                for key, distribution in self.space.distributions.items()
            }
            if self._is_new(params, tried):
                return params

    def _is_new(self, params: Params, tried: set[tuple[str, ...]]) -> bool:
        return self.space.overrides(params) not in tried

    def _left_behind(self, study: optuna.Study, trial: FrozenTrial) -> list[Trial]:
        """The trial of a process that died; none where it died before all values were suggested."""
        from optuna.trial import TrialState

        if self._is_whole(trial):
            return [Trial(number=trial.number, overrides=self.space.overrides(trial.params))]
        study.tell(trial.number, state=TrialState.FAIL)
        return []

    def _counted(self, study: optuna.Study) -> list[FrozenTrial]:
        """Trials of values of their own: no chance repeats, and of those that are done again the last."""
        trials = study.get_trials(deepcopy=False)
        again = {trial.user_attrs.get(_INSTEAD_OF) for trial in trials}
        return [
            trial
            for trial in trials
            if trial.state.name == "WAITING"
            or (self._is_whole(trial) and _REPEATS not in trial.user_attrs and trial.number not in again)
        ]

    def _is_whole(self, trial: FrozenTrial) -> bool:
        return set(trial.params) == set(self.space.distributions)

    def _open(self) -> optuna.Study:
        return open_study(self._journal, pruner=None)

    @property
    def _journal(self) -> Path:
        return self.sweep_dir / JOURNAL

    def _sampler(self, study: optuna.Study) -> BaseSampler:
        from optuna.samplers import GPSampler, RandomSampler, TPESampler

        seed = self._seed(study)
        if self.sampler["name"] == "tpe":
            return TPESampler(seed=seed, n_startup_trials=self.sampler["n_startup_trials"])
        if self.sampler["name"] == "gp":
            return GPSampler(seed=seed, n_startup_trials=self.sampler["n_startup_trials"])
        return RandomSampler(seed=seed)

    def _seed(self, study: optuna.Study) -> int:
        # A process that goes on with a study suggests what the one before would have.
        n_before = len(study.get_trials(deepcopy=False))
        return int(np.random.SeedSequence([self.seed, n_before]).generate_state(1)[0])

    def _lock(self, name: str, *, wait: bool = True) -> AbstractContextManager[bool]:
        return file_lock(self.sweep_dir / _LOCKS / f"{name}.lock", wait=wait)

    def _lock_trial(self, number: int, *, wait: bool) -> AbstractContextManager[bool]:
        return self._lock(f"trial_{number}", wait=wait)


def _of_state(study: optuna.Study, name: str) -> Sequence[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == name]


def _differences(begun: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Overrides and keys that only one of two spaces has, or that they search in different values."""
    fixed = sorted({*begun["fixed"]} ^ {*asked["fixed"]})
    keys = sorted({*begun["searched"], *asked["searched"]})
    return [*fixed, *(key for key in keys if begun["searched"].get(key) != asked["searched"].get(key))]
