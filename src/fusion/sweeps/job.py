"""A job of a sweep before it runs: its configuration and where it goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion.runs.folder import RunFolder
from fusion.sweeps.records import ENDED_WELL, JobRecord, read_record

if TYPE_CHECKING:
    from omegaconf import DictConfig

_DIVISIONS = "split.n_divisions="


@dataclass(frozen=True, kw_only=True)
class Job:
    """One combination of values.

    Attributes:
        record: As it stands before it runs.
        sweep_dir: Of the sweep.
        composed: The configuration, ``hydra`` included.
    """

    record: JobRecord
    sweep_dir: Path
    composed: DictConfig

    @classmethod
    def compose(cls, hydra_context: Any, config: DictConfig, overrides: Sequence[str], *, number: int) -> Job:
        """Compose the configuration of a job.

        Args:
            hydra_context: Of Hydra.
            config: Of the sweep.
            overrides: Of the job.
            number: In the order of the sweep.
        """
        from omegaconf import open_dict

        composed = hydra_context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
            # A page of a run shows its test figures.
            composed.report = bool(composed.report) and composed.sweep.test == "all"
        record = JobRecord(
            number=number,
            overrides=tuple(overrides),
            folder=str(composed.hydra.sweep.subdir),
            fold=str(composed.fold),
            state="waiting",
        )
        return cls(record=record, sweep_dir=Path(str(composed.hydra.sweep.dir)), composed=composed)

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return self.sweep_dir / self.record.folder

    @property
    def log(self) -> Path:
        """What the job prints, where it runs as a command; jobs of one folder have one each."""
        return self.run_dir / ("job.log" if self.record.fold == "all" else f"job_fold_{self.record.fold}.log")

    @property
    def plain(self) -> dict[str, Any]:
        """The configuration of the run, resolved."""
        from omegaconf import open_dict

        from fusion.entry import plain_config

        config = self.composed.copy()
        with open_dict(config):
            del config["hydra"]
        return plain_config(config)

    def ended(self) -> JobRecord | None:
        """What became of the job where nothing is left to do; None where it has to run."""
        known = read_record(self.sweep_dir, self.record.key)
        if known is None or known.state not in ENDED_WELL or not (self.run_dir / "metrics.json").is_file():
            return None
        return known if RunFolder.open(self.run_dir).is_of(self.plain) else None

    def fold_seconds(self) -> dict[str, float]:
        """Seconds of each of its folds that the run's manifest knows; others of the run are other jobs'."""
        path, fold = self.run_dir / "manifest.json", self.record.fold
        stages = json.loads(path.read_text()).get("stages", {}) if path.is_file() else {}
        own = f"fold_{'*' if fold == 'all' else fold}"
        return {name: stage["seconds"] for name, stage in stages.items() if fnmatch(name, own)}


def compose_jobs(
    hydra_context: Any, config: DictConfig, overrides: Sequence[Sequence[str]], *, first: int
) -> list[Job]:
    """Compose the jobs of a sweep; a holdout is divided as often as they ask for folds of it.

    Args:
        hydra_context: Of Hydra.
        config: Of the sweep.
        overrides: Of each job.
        first: Number of the first one.
    """

    def compose(number: int, added: Sequence[str]) -> Job:
        return Job.compose(hydra_context, config, [*overrides[number], *added], number=first + number)

    jobs = [compose(number, ()) for number in range(len(overrides))]
    short = [number for number, job in enumerate(jobs) if _asks_beyond(job.composed)]
    divided = [number for number, job in enumerate(jobs) if job.composed.split.name == "holdout"]
    if not short or any(
        override.lstrip("+~").startswith(_DIVISIONS) for job in jobs for override in job.record.overrides
    ):
        return jobs
    n_divisions = 1 + max(jobs[number].composed.fold for number in short)
    print(f"split=holdout: {_DIVISIONS}{n_divisions}, as many as folds are asked for")
    for number in divided:
        jobs[number] = compose(number, (f"{_DIVISIONS}{n_divisions}",))
    return jobs


def _asks_beyond(composed: DictConfig) -> bool:
    split, fold = composed.split, composed.fold
    # A file of one's own may lack it; the job says so.
    is_known = split.name == "holdout" and "n_divisions" in split
    return is_known and isinstance(fold, int) and fold >= split.n_divisions
