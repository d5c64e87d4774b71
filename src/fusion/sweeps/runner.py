"""The two ways to run a job: in this process, or as a command line that a backend starts."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fusion.entry import INTERRUPTED, as_override
from fusion.runs.folder import RunFolder
from fusion.sweeps.backends.backend import Backend, Running
from fusion.sweeps.job import Job

_LINES_SHOWN = 40
# Hydra's last word after a traceback, which tells nothing of the error.
_ADVICE = "Set the environment variable HYDRA_FULL_ERROR"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: Exit status; negative for the signal that killed it.
        lines: Last lines of what it printed, where they were not seen yet.
        error: The one line that says what went wrong.
    """

    status: int
    lines: tuple[str, ...] = ()
    error: str = ""


class Started(Protocol):
    """A job that was started."""

    def outcome(self) -> Outcome | None:
        """None while it runs."""

    def cancel(self) -> None:
        """End it, and return when it has ended."""


class Runner(Protocol):
    """Starts jobs."""

    @property
    def n_jobs(self) -> int:
        """Most of them at once."""

    def start(self, job: Job) -> Started:
        """Start one."""

    def close(self) -> None:
        """Leave nothing behind."""


@dataclass(frozen=True)
class _Ended:
    ended: Outcome

    def outcome(self) -> Outcome:
        return self.ended

    def cancel(self) -> None:
        pass


class InThisProcess:
    """Runs a job as it starts it.

    Args:
        call: Runs a job by Hydra, and gives what it returned or raised.
    """

    n_jobs = 1

    def __init__(self, call: Callable[[Job], Any]) -> None:
        self._call = call

    def start(self, job: Job) -> Started:
        """See ``Runner``.

        Raises:
            KeyboardInterrupt: If the user ended it; what it keeps was said.
        """
        try:
            failed = self._call(job)
        except SystemExit as error:
            # Its message was printed, and is the cause.
            if error.code == INTERRUPTED:
                raise KeyboardInterrupt from error
            failed = error.__cause__ or error.__context__ or error
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
            return _Ended(Outcome(status=status, error=_last_line(str(failed)) if status else ""))
        if not isinstance(failed, BaseException):
            return _Ended(Outcome(status=0))
        lines = [line for text in traceback.format_exception(failed) for line in text.rstrip().splitlines()]
        return _Ended(Outcome(status=1, lines=tuple(lines), error=_last_line("\n".join(lines))))

    def close(self) -> None:
        """See ``Runner``."""


class AsCommands:
    """Writes a job's configuration into its run folder, and starts ``train.py`` on it.

    So a job can never start a sweep of its own, and goes on where its folder was left.

    Args:
        backend: Where they run.
        command: That starts ``train.py``, before its overrides.
    """

    def __init__(self, backend: Backend, *, command: Sequence[str]) -> None:
        self._backend, self._command = backend, command

    @property
    def n_jobs(self) -> int:
        """See ``Runner``."""
        return self._backend.n_jobs

    def start(self, job: Job) -> Started:
        """See ``Runner``."""
        config = job.plain
        RunFolder.begin(job.run_dir, config)
        report = str(config["report"]).lower()
        overrides = [as_override("resume", job.run_dir), f"fold={config['fold']}", f"report={report}"]
        begins = job.log.stat().st_size if job.log.exists() else 0
        running = self._backend.start([*self._command, *overrides], name=job.record.name, log=job.log)
        return _Command(running, job, begins)

    def close(self) -> None:
        """See ``Runner``."""
        self._backend.close()


class _Command:
    def __init__(self, running: Running, job: Job, begins: int) -> None:
        self._running, self._job, self._begins = running, job, begins

    def outcome(self) -> Outcome | None:
        status = self._running.poll()
        if status is None:
            return None
        if status == 0:
            return Outcome(status=0)
        lines = self._lines()
        return Outcome(status=status, lines=tuple(lines[-_LINES_SHOWN:]), error=_last_line("\n".join(lines)))

    def cancel(self) -> None:
        self._running.cancel()

    def _lines(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError), self._job.log.open("rb") as stream:
            stream.seek(self._begins)
            return stream.read().decode(errors="replace").splitlines()
        return []


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line.startswith(_ADVICE)), "")
