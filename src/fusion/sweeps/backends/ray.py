"""Jobs of a Ray cluster, or of a Ray of this machine for as long as the sweep takes."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion.errors import FusionError

_SECONDS_TO_END = 20


class RunningInRay:
    """A task of Ray that runs a command, or waits for room."""

    def __init__(self, reference: Any, log: Path) -> None:
        self.reference, self._log = reference, log
        self._status: int | None = None

    def poll(self) -> int | None:
        """See ``Running``."""
        import ray

        if self._status is None and ray.wait([self.reference], timeout=0)[0]:
            self._status = self._end()
        return self._status

    def cancel(self) -> None:
        """See ``Running``."""
        import ray

        if self.poll() is None:
            ray.cancel(self.reference)
            # The task ends its command before it ends itself.
            if not ray.wait([self.reference], timeout=2 * _SECONDS_TO_END)[0]:
                ray.cancel(self.reference, force=True)
                ray.wait([self.reference])
            self._status = self._end()

    def _end(self) -> int:
        import ray
        from ray.exceptions import RayError, TaskCancelledError

        try:
            status: int = ray.get(self.reference, timeout=0)
        except TaskCancelledError:
            return -signal.SIGINT
        except RayError as error:
            # Its node or its worker is gone, or was out of memory.
            self._say(f"Ray ended the job: {type(error).__name__}: {error}")
            return -signal.SIGKILL
        return status

    def _say(self, text: str) -> None:
        with self._log.open("a", encoding="utf-8") as stream:
            # One line: the last of the log is what the sweep's table shows.
            stream.write(" ".join(text.split()) + "\n")


class Ray:
    """Gives each job to Ray as a task, which waits until a node has room for it.

    A Ray of this machine is started where ``RAY_ADDRESS`` names none; it sends no usage statistics.

    Args:
        n_jobs: Most jobs at once, waiting ones included.
        cpus: Cores of a job.
        gpus: Of a job, which sees no others; a fraction shares one among several.

    Raises:
        FusionError: Where Ray is not installed.
    """

    def __init__(self, *, n_jobs: int, cpus: float, gpus: float) -> None:
        self.n_jobs = n_jobs
        self._running: list[RunningInRay] = []
        # Nothing leaves the machine unless the user asks for it.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ModuleNotFoundError as error:
            if error.name != "ray":
                raise
            raise FusionError(
                "hydra/launcher=ray requires the package 'ray', which is not installed: "
                "pip install 'fusion-radiomics[ray]'"
            ) from error
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            address = os.environ.get("RAY_ADDRESS", "local")
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        # A task that is tried again would do so beside what may be left of it; the same sweep does it anew.
        self._task: Any = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(_run)

    def start(self, command: Sequence[str], *, name: str, log: Path) -> RunningInRay:
        """See ``Backend``."""
        log = log.absolute()
        log.parent.mkdir(parents=True, exist_ok=True)
        reference = self._task.options(name=name).remote(list(command), str(Path.cwd()), str(log))
        running = RunningInRay(reference, log)
        self._running.append(running)
        return running

    def close(self) -> None:
        """See ``Backend``."""
        import ray

        left = [job for job in self._running if job.poll() is None]
        for job in left:
            # All at once; each is then waited for.
            ray.cancel(job.reference)
        for job in left:
            job.cancel()
        if self._is_ours:
            ray.shutdown()


def _run(command: list[str], directory: str, log: str) -> int:
    """The task: run the command on the node where Ray has room."""
    # Ray's workers are deaf to Ctrl-C, which a command would inherit.
    of_ray = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with Path(log).open("ab") as stream:
        process = subprocess.Popen(command, cwd=directory, stdout=stream, stderr=subprocess.STDOUT)
    signal.pthread_sigmask(signal.SIG_SETMASK, of_ray)
    try:
        # Ray interrupts Python between two of its steps, so none of them may be long.
        while process.poll() is None:
            time.sleep(0.1)
        return process.returncode
    finally:
        # Cancelled: as Ctrl-C would, so that it says what it keeps.
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
