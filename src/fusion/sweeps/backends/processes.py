"""Jobs as processes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

_SECONDS_TO_END = 20


class RunningProcess:
    """A process of this machine."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def poll(self) -> int | None:
        """See ``Running``."""
        return self._process.poll()

    def cancel(self) -> None:
        """Interrupt it as Ctrl-C would, so that it says what it keeps; kill it where that does not help."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Processes:
    """Some jobs at once, each a process of its own with its share of the cores, and a GPU of its own where asked.

    Args:
        n_jobs: Most jobs at once.
        n_threads: Of each job; None shares the cores among them.
        gpus: Ids of GPUs that the jobs take in turn; empty leaves to each job what it sees.
    """

    def __init__(self, *, n_jobs: int, n_threads: int | None, gpus: Sequence[int]) -> None:
        self.n_jobs = n_jobs
        self._n_threads = n_threads or max(1, len(os.sched_getaffinity(0)) // n_jobs)
        self._gpus = list(gpus)
        self._running: list[RunningProcess | None] = [None] * n_jobs

    def start(self, command: Sequence[str], *, name: str, log: Path) -> RunningProcess:  # noqa: ARG002
        """See ``Backend``."""
        place = next(place for place, job in enumerate(self._running) if job is None or job.poll() is not None)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=self._environment(place))
        job = RunningProcess(process)
        self._running[place] = job
        return job

    def close(self) -> None:
        """See ``Backend``."""
        for job in filter(None, self._running):
            job.cancel()

    def _environment(self, place: int) -> dict[str, str]:
        threads = {name: str(self._n_threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        device = {"CUDA_VISIBLE_DEVICES": str(self._gpus[place % len(self._gpus)])} if self._gpus else {}
        return {**threads, **os.environ, **device}
