import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from fusion.entry import INTERRUPTED, PRUNED
from fusion.runs.folder import RunFolder
from fusion.sweeps.job import Job
from fusion.sweeps.launching import run_jobs
from fusion.sweeps.records import JobRecord, job_lock, read_records, write_record
from fusion.sweeps.runner import Outcome


@dataclass
class Runs:
    """Gives the outcome that it was told, after some looks; notes who ran at once."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    n_jobs: int = 1
    looks: int = 0
    started: list[str] = field(default_factory=list)
    at_once: list[int] = field(default_factory=list)
    n_running: int = 0
    closed: int = 0

    def start(self, job: Job) -> Any:
        self.started.append(job.record.name)
        self.n_running += 1
        self.at_once.append(self.n_running)
        return _Started(self, job, self.outcomes.get(job.record.name, Outcome(status=0)), self.looks)

    def close(self) -> None:
        self.closed += 1


@dataclass
class _Started:
    runs: Runs
    job: Job
    ended: Outcome
    looks: int

    def outcome(self) -> Outcome | None:
        self.looks -= 1
        if self.looks >= 0:
            return None
        self.runs.n_running -= 1
        if self.ended.status == 0:
            RunFolder.begin(self.job.run_dir, self.job.plain)
            (self.job.run_dir / "metrics.json").write_text("{}")
        return self.ended

    def cancel(self) -> None:
        self.ended, self.looks = Outcome(status=INTERRUPTED), 0


@pytest.fixture
def jobs(tmp_path: Path) -> Callable[..., list[Job]]:
    def make(*names: str, **config: Any) -> list[Job]:
        return [
            Job(
                record=JobRecord(number=number, overrides=(name,), folder=name, fold="all", state="waiting"),
                sweep_dir=tmp_path,
                composed=OmegaConf.create({"name": name, "hydra": {}, **config}),
            )
            for number, name in enumerate(names)
        ]

    return make


def states(folder: Path) -> dict[str, str]:
    return {record.name: record.state for record in read_records(folder)}


def test_jobs_run_once_and_are_told_as_they_end(
    jobs: Callable[..., list[Job]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Runs()
    records = run_jobs(jobs("a", "b"), first, stop_on_failure=False)
    assert first.started == ["a", "b"]
    assert [record.state for record in records] == ["finished", "finished"]
    assert states(tmp_path) == {"a": "finished", "b": "finished"}
    assert first.closed == 1
    shown = capsys.readouterr().out
    assert "#0 a: running" in shown
    assert "#1 b: finished, inner AUC none" in shown
    assert "beyond its folds" in shown

    again = Runs()
    assert run_jobs(jobs("a", "b"), again, stop_on_failure=False) == records
    assert again.started == []
    assert "2 jobs, of them 2 done before" in capsys.readouterr().out


def test_only_what_is_missing_or_failed_runs_again(jobs: Callable[..., list[Job]], tmp_path: Path) -> None:
    killed, failed = Outcome(status=-signal.SIGKILL), Outcome(status=1, lines=("a", "b"), error="b")
    run_jobs(jobs("a", "b", "c"), Runs({"a": killed, "b": failed}), stop_on_failure=False)
    assert states(tmp_path) == {"a": "killed", "b": "failed", "c": "finished"}
    assert [record.error for record in read_records(tmp_path)] == ["killed by signal 9 (SIGKILL)", "b", ""]
    again = Runs()
    run_jobs(jobs("a", "b", "c", "d"), again, stop_on_failure=False)
    assert again.started == ["a", "b", "d"]
    assert set(states(tmp_path).values()) == {"finished"}


def test_what_a_failed_job_printed_is_shown(jobs: Callable[..., list[Job]], capsys: pytest.CaptureFixture[str]) -> None:
    failed = Outcome(status=1, lines=("Traceback", "ValueError: no"), error="ValueError: no")
    run_jobs(jobs("a"), Runs({"a": failed}), stop_on_failure=False)
    shown = capsys.readouterr()
    assert "Traceback\nValueError: no" in shown.err
    assert "#0 a: failed: ValueError: no" in shown.out


def test_a_job_whose_configuration_has_changed_is_not_taken_for_done(jobs: Callable[..., list[Job]]) -> None:
    run_jobs(jobs("a", l1=0), Runs(), stop_on_failure=False)
    again = Runs({"a": Outcome(status=1)})
    run_jobs(jobs("a", l1=1), again, stop_on_failure=False)
    assert again.started == ["a"]


@pytest.mark.parametrize(("fold", "of_folds"), [("1", 200.0), ("all", 300.0)])
def test_what_a_job_takes_beyond_its_own_folds_is_told(
    jobs: Callable[..., list[Job]], tmp_path: Path, fold: str, of_folds: float
) -> None:
    """Another job of the run may have done other folds of it meanwhile."""
    (job,) = jobs("a")
    job = replace(job, record=replace(job.record, fold=fold))

    class Trains(Runs):
        def start(self, job: Job) -> Any:
            stages = {f"fold_{number}": {"seconds": 100.0 * (number + 1)} for number in (0, 1)}
            job.run_dir.mkdir()
            (job.run_dir / "manifest.json").write_text(json.dumps({"stages": {"cohort": {"seconds": 5.0}, **stages}}))
            return super().start(job)

    (record,) = run_jobs([job], Trains(), stop_on_failure=False)
    assert record.seconds is not None
    assert record.overhead == pytest.approx(record.seconds - of_folds, abs=0.01)


def test_a_pruned_job_is_over(jobs: Callable[..., list[Job]], tmp_path: Path) -> None:
    run_jobs(jobs("a"), Runs({"a": Outcome(status=PRUNED)}), stop_on_failure=False)
    assert states(tmp_path) == {"a": "pruned"}


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_as_many_run_at_once_as_the_runner_takes(jobs: Callable[..., list[Job]], n_jobs: int) -> None:
    runs = Runs(n_jobs=n_jobs, looks=1)
    run_jobs(jobs(*"abcd"), runs, stop_on_failure=False)
    assert max(runs.at_once) == n_jobs
    assert sorted(runs.started) == [*"abcd"]


def test_the_first_failure_ends_the_sweep_where_that_is_asked(jobs: Callable[..., list[Job]], tmp_path: Path) -> None:
    runs = Runs({"a": Outcome(status=1)}, n_jobs=2)
    slow = Runs.start

    def start(job: Job) -> Any:
        started = slow(runs, job)
        started.looks = 0 if job.record.name == "a" else 50
        return started

    runs.start = start  # type: ignore[method-assign]
    run_jobs(jobs("a", "b", "c"), runs, stop_on_failure=True)
    assert states(tmp_path) == {"a": "failed", "b": "interrupted", "c": "waiting"}


def test_a_job_that_ran_when_its_sweep_was_killed_is_begun_again(
    jobs: Callable[..., list[Job]], tmp_path: Path
) -> None:
    (job,) = jobs("a")
    write_record(tmp_path, JobRecord(number=0, overrides=("a",), folder="a", fold="all", state="running"))
    runs = Runs()
    run_jobs([job], runs, stop_on_failure=False)
    assert runs.started == ["a"]


def test_a_job_that_another_process_has_is_left_to_it(jobs: Callable[..., list[Job]], tmp_path: Path) -> None:
    """Its lock is freed when the other job here starts; by then it has come to its end."""
    theirs, ours = jobs("a", "b")
    held = job_lock(tmp_path, theirs.record.key, wait=False)
    held.__enter__()
    runs = Runs()
    slow = runs.start

    def start(job: Job) -> Any:
        RunFolder.begin(theirs.run_dir, theirs.plain)
        (theirs.run_dir / "metrics.json").write_text("{}")
        write_record(tmp_path, JobRecord(number=0, overrides=("a",), folder="a", fold="all", state="finished"))
        held.__exit__(None, None, None)
        return slow(job)

    runs.start = start  # type: ignore[method-assign]
    records = run_jobs([theirs, ours], runs, stop_on_failure=False)
    assert runs.started == ["b"]
    assert [record.state for record in records] == ["finished", "finished"]


def test_a_configuration_that_cannot_be_resolved_is_told_before_any_job(jobs: Callable[..., list[Job]]) -> None:
    from fusion.errors import FusionError

    good, bad = jobs("a", "b")
    bad.composed.name = "???"
    runs = Runs()
    with pytest.raises(FusionError, match="required a value for name"):
        run_jobs([good, bad], runs, stop_on_failure=False)
    assert runs.started == []
