"""Run the jobs of a sweep that have not come to their end, and say of each at once what became of it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from fusion.entry import INTERRUPTED, PRUNED
from fusion.sweeps.job import Job
from fusion.sweeps.records import ENDED_WELL, JobRecord, job_lock, read_record, write_record
from fusion.sweeps.runner import Outcome, Runner, Started
from fusion.sweeps.score import inner_score

_SECONDS_BETWEEN_LOOKS = 0.1
# Shells add this to the number of the signal that killed a command.
_OF_A_SHELL = 128


def run_jobs(jobs: Sequence[Job], runner: Runner, *, stop_on_failure: bool) -> list[JobRecord]:
    """Run the jobs that are missing or failed; several processes may do so with the same sweep at once.

    Args:
        jobs: Of one sweep, which no two of them share their overrides.
        runner: Starts them.
        stop_on_failure: Whether the first that fails ends those that run, and keeps others from starting.

    Returns:
        What became of each, in their order.

    Raises:
        FusionError: If a configuration cannot be resolved; no job has run then.
        KeyboardInterrupt: If the user ended the sweep; the jobs that ran have ended.
    """
    for job in jobs:
        _ = job.plain
    for job in jobs:
        _begin(job)
    waiting = [job for job in jobs if job.ended() is None]
    print(f"{len(jobs)} job{'' if len(jobs) == 1 else 's'}, of them {len(jobs) - len(waiting)} done before")
    running: dict[str, _Running] = {}
    with ExitStack() as stack:
        # Some places end all of their jobs faster together than one by one.
        stack.callback(_interrupt, running)
        stack.callback(runner.close)
        while waiting or running:
            for started in _started(waiting, running, runner):
                running[started.job.record.key] = started
            ended = [key for key, job in running.items() if job.look()]
            for key in ended:
                record = running.pop(key).end()
                _say(record)
                if stop_on_failure and record.state in ("failed", "killed"):
                    waiting.clear()
                    _interrupt(running)
            if not ended:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    # Some may have been another process's.
    return [read_record(job.sweep_dir, job.record.key) or job.record for job in jobs]


class _Running:
    """A job that runs, and is locked as long as it does."""

    def __init__(self, job: Job, runner: Runner, locked: ExitStack) -> None:
        self.job, self._locked = job, locked
        self._begun, self._folds = time.perf_counter(), job.fold_seconds()
        self._outcome: Outcome | None = None
        self.cancelled = False
        write_record(job.sweep_dir, replace(job.record, state="running"))
        print(f"{_title(job.record)}: running; {job.run_dir}", flush=True)
        try:
            self._started: Started = runner.start(job)
        except KeyboardInterrupt:
            write_record(job.sweep_dir, replace(job.record, state="interrupted"))
            locked.close()
            raise

    def look(self) -> bool:
        """Whether it has ended."""
        self._outcome = self._started.outcome()
        return self._outcome is not None

    def cancel(self) -> None:
        """End it."""
        self.cancelled = True
        self._started.cancel()

    def end(self) -> JobRecord:
        """Keep what became of it, and show what it printed where that was not seen."""
        assert self._outcome is not None
        seconds = time.perf_counter() - self._begun
        after = self.job.fold_seconds()
        of_folds = sum(value for name, value in after.items() if self._folds.get(name) != value)
        score = inner_score(self.job.run_dir)
        record = replace(
            self.job.record,
            state=self._state(self._outcome.status),
            inner_score=None if score is None else score.auc,
            seconds=round(seconds, 3),
            overhead=round(seconds - of_folds, 3),
            error="; ".join(filter(None, (_killed_by(self._outcome.status), self._outcome.error))),
        )
        if self._outcome.lines and not self.cancelled:
            print("\n".join(self._outcome.lines), file=sys.stderr)
        write_record(self.job.sweep_dir, record)
        self._locked.close()
        return record

    def _state(self, status: int) -> str:
        if self.cancelled or status == INTERRUPTED:
            return "interrupted"
        if status == PRUNED:
            return "pruned"
        if status == 0:
            return "finished"
        return "killed" if _killed_by(status) else "failed"


def _begin(job: Job) -> None:
    """Keep that a job waits; one that ran when its sweep was ended was interrupted."""
    with job_lock(job.sweep_dir, job.record.key, wait=False) as held:
        # What another process has is its to tell.
        if held:
            known = read_record(job.sweep_dir, job.record.key)
            record = known or job.record
            state = "interrupted" if record.state == "running" else record.state
            record = replace(record, state=state, number=job.record.number)
            if record != known:
                write_record(job.sweep_dir, record)


def _started(waiting: list[Job], running: Mapping[str, _Running], runner: Runner) -> Iterator[_Running]:
    """Start as many of the waiting jobs as there is room for; one that another process has is left for later."""
    room = runner.n_jobs - len(running)
    for job in list(waiting):
        if room <= 0:
            return
        locked = ExitStack()
        if not locked.enter_context(job_lock(job.sweep_dir, job.record.key, wait=False)):
            continue
        waiting.remove(job)
        if job.ended() is not None:
            locked.close()
            continue
        room -= 1
        yield _Running(job, runner, locked)


def _interrupt(running: Mapping[str, _Running]) -> None:
    for started in running.values():
        started.cancel()
        write_record(started.job.sweep_dir, replace(started.job.record, state="interrupted"))


def _killed_by(status: int) -> str:
    number = -status if status < 0 else status - _OF_A_SHELL
    known = {other.value: other.name for other in signal.Signals}
    return f"killed by signal {number} ({known[number]})" if number in known and status != INTERRUPTED else ""


def _title(record: JobRecord) -> str:
    return f"#{record.number} {record.name}"


def _say(record: JobRecord) -> None:
    what = f"{_title(record)}: {record.state}"
    if record.state in ENDED_WELL:
        score = "none" if record.inner_score is None else f"{record.inner_score:.3f}"
        what += f", inner AUC {score}, {record.seconds:.1f} s, of them {record.overhead:.1f} s beyond its folds"
    else:
        what += f": {record.error}"
    print(what, flush=True)
