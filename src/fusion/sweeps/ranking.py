"""Jobs → runs, in the order of their inner scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion.comparison.inner import InnerAuc, rank_by_inner
from fusion.sweeps.records import JobRecord
from fusion.sweeps.score import inner_score

# Of a run's parts the state that is told: the first of these that one of them is in.
_STATES = ("failed", "killed", "interrupted", "running", "waiting", "pruned", "finished")


@dataclass(frozen=True, kw_only=True)
class SweptRun:
    """One run of a sweep: the jobs of one folder.

    Attributes:
        folder: Relative to the sweep's.
        values: Of its overrides, by key; without the fold.
        state: Of its parts, the one that needs attention most.
        inner: Its inner score; None of a run that is not finished, or has no inner predictions with every label.
        seconds, overhead: Of all parts; None where no part knows.
        error: Last line of what went wrong.
    """

    folder: str
    values: Mapping[str, str]
    state: str
    inner: InnerAuc | None
    seconds: float | None
    overhead: float | None
    error: str

    @classmethod
    def of_jobs(cls, sweep_dir: Path, jobs: Sequence[JobRecord]) -> SweptRun:
        """Take the jobs of one folder together.

        Args:
            sweep_dir: Of the sweep.
            jobs: At least one.
        """
        state = min((job.state for job in jobs), key=_STATES.index)
        return cls(
            folder=jobs[0].folder,
            values=_values(jobs[0].overrides),
            state=state,
            inner=inner_score(sweep_dir / jobs[0].folder) if state == "finished" else None,
            seconds=_sum([job.seconds for job in jobs]),
            overhead=_sum([job.overhead for job in jobs]),
            error=next((job.error for job in jobs if job.state == state), ""),
        )


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The runs of a sweep.

    Attributes:
        ranked: By falling inner score, those whose scores are figures of one kind; a single finished run is alone here.
        others: The rest, the finished ones first.
        not_ranked: Of each finished run among the others, by folder, why it is not ranked.
        swept: Keys in whose values the runs differ, in the order of the overrides.
    """

    ranked: tuple[SweptRun, ...]
    others: tuple[SweptRun, ...]
    not_ranked: Mapping[str, str]
    swept: tuple[str, ...]

    @property
    def chosen(self) -> SweptRun | None:
        """The run with the best inner score; None where no two can be set against each other."""
        return self.ranked[0] if self.ranked else None


def rank_runs(sweep_dir: Path, records: Sequence[JobRecord]) -> Ranking:
    """Rank by the inner score alone; of equal ones the first.

    Args:
        sweep_dir: Of the sweep.
        records: Of its jobs, in their order.
    """
    jobs: dict[str, list[JobRecord]] = {}
    for record in records:
        jobs.setdefault(record.folder, []).append(record)
    runs = [SweptRun.of_jobs(sweep_dir, of_folder) for of_folder in jobs.values()]
    finished = [run for run in runs if run.state == "finished"]
    not_ranked = rank_by_inner([run.inner for run in finished]).not_ranked
    if len(finished) == 1 and finished[0].inner is not None:
        not_ranked = {}
    ranked = [run for place, run in enumerate(finished) if place not in not_ranked]
    others = [run for run in runs if run not in ranked]
    return Ranking(
        ranked=tuple(sorted(ranked, key=_by_score)),
        others=tuple(sorted(others, key=lambda run: (_STATES[::-1].index(run.state), _by_score(run)))),
        not_ranked={finished[place].folder: why for place, why in not_ranked.items()},
        swept=_swept(runs),
    )


def _by_score(run: SweptRun) -> float:
    return 0.0 if run.inner is None else -run.inner.auc


def _swept(runs: Sequence[SweptRun]) -> tuple[str, ...]:
    keys = dict.fromkeys(key for run in runs for key in run.values)
    return tuple(key for key in keys if len({run.values.get(key) for run in runs}) > 1)


def _values(overrides: Sequence[str]) -> dict[str, str]:
    pairs = (override.lstrip("+").partition("=") for override in overrides)
    return {key: value.strip("'\"") for key, _, value in pairs if key != "fold"}


def _sum(values: Sequence[float | None]) -> float | None:
    known: list[Any] = [value for value in values if value is not None]
    return sum(known) if known else None
