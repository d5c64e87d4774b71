"""Jobs of a SLURM cluster, submitted by submitit."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fusion.errors import FusionError

_log = logging.getLogger(__name__)

# What SLURM calls a job that will not run again, and what to do where it was not the job's own doing.
_ENDED = {
    "COMPLETED": "",
    "FAILED": "",
    "BOOT_FAIL": "its node did not start",
    "CANCELLED": "by scancel, or by an administrator",
    "DEADLINE": "its deadline has passed",
    "NODE_FAIL": "a node of it broke down",
    "OUT_OF_MEMORY": "it needs more than hydra.launcher.memory_gb",
    "PREEMPTED": "a job of higher priority took its place",
    "TIMEOUT": "it needs more than hydra.launcher.time; the same command goes on with it",
}
_FORGOTTEN = "FORGOTTEN"
_FORGOTTEN_MEANS = "SLURM knows it no longer, nor does sacct"
# What srun says of a task that failed; those that it ends for that reason follow.
_TASK_FAILED = re.compile(r"^srun: error: .* tasks? (\d+)\S*: Exited with exit code (\d+)$", re.MULTILINE)
# Of a shell: a process that a signal ended.
_OF_SIGNALS = 128
_SECONDS_TO_END = 120


class CommandLine:
    """What every task of a job runs: a command that goes on where it was left, whenever it is started again.

    SLURM warns a job before its time is over or its place is taken; submitit then puts what has a ``checkpoint`` back
    into the queue.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)

    def __call__(self) -> None:
        """Run it; what it prints is the task's output.

        Raises:
            SystemExit: With the command's exit status, so that it becomes the task's.
        """
        # The warning reaches every process of a task, and ends those that do not know it.
        process = subprocess.Popen(self._command, preexec_fn=_ignore_the_warning)
        try:
            status = _wait(process)
        finally:
            # Put back into the queue: nothing of it may go on beside its successor.
            process.kill()
            process.wait()
        if status:
            raise SystemExit(status if status > 0 else _OF_SIGNALS - status)

    def checkpoint(self) -> Any:
        """What submitit runs when the job's turn comes again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _ignore_the_warning() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _wait(process: subprocess.Popen[bytes]) -> int:
    from submitit.core.utils import UncompletedJobError

    while True:
        try:
            return process.wait()
        except UncompletedJobError:
            # Warned, and requeued often enough: what is left of its time may do. SLURM ends it otherwise.
            continue


class RunningInSlurm:
    """A job that was submitted."""

    def __init__(self, queue: _Queue, job_id: str, *, log: Path, batch_log: Path, is_labeled: bool) -> None:
        self._queue, self.job_id, self._log, self._batch_log = queue, job_id, log, batch_log
        self._is_labeled = is_labeled
        self._status: int | None = None

    def poll(self) -> int | None:
        """See ``Running``."""
        if self._status is None:
            state = self._queue.state(self.job_id)
            if state in _ENDED or state == _FORGOTTEN:
                self._status = self._end(state)
        return self._status

    def cancel(self) -> None:
        """See ``Running``."""
        if self.poll() is not None:
            return
        _ask("scancel", self.job_id)
        end = time.monotonic() + _SECONDS_TO_END
        while self.poll() is None:
            self._queue.look_again()
            if time.monotonic() > end:
                raise FusionError(f"SLURM job {self.job_id} is still there {_SECONDS_TO_END} s after scancel")
            time.sleep(0.2)

    def _end(self, state: str) -> int:
        if state == "COMPLETED":
            return 0
        if state == "FAILED":
            return self._fail()
        meaning = _ENDED.get(state, _FORGOTTEN_MEANS)
        self._say(f"{self._batch_output()}\nSLURM ended job {self.job_id}: {state} ({meaning})")
        return -signal.SIGTERM if state == "CANCELLED" else -signal.SIGKILL

    def _fail(self) -> int:
        said = self._batch_output()
        failed = _TASK_FAILED.search(said)
        if failed is None:
            # No task came to its end: the batch script or the node failed, and SLURM says why.
            self._say(said)
            return 1
        task, status = map(int, failed.groups())
        words = re.findall(rf"^ *{task}: (?!slurmstepd)(.*\S)", self._log.read_text(errors="replace"), re.MULTILINE)
        if self._is_labeled and words:
            self._say(f"task {task} failed first: {words[-1]}")
        return status if status < _OF_SIGNALS else _OF_SIGNALS - status

    def _batch_output(self) -> str:
        return self._batch_log.read_text(errors="replace").strip() if self._batch_log.exists() else ""

    def _say(self, text: str) -> None:
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(f"{text.strip()}\n")


class Slurm:
    """Submits each job as a batch job of its own.

    Args:
        folder: For batch scripts; on a file system that the nodes share, as is everything that jobs read and write.
        n_jobs: Most jobs at once, waiting ones included.
        seconds_between_looks: How often SLURM is asked, once for all jobs.
        time: Minutes that a job may take.
        requeue: How often a job that ran out of time may be put back into the queue; one whose place was taken is
            always.
        partition: None for SLURM's default.
        account: None for SLURM's default.
        nodes: Of a job.
        tasks_per_node: Processes that a node starts: of ``trainer=ddp_slurm``, one for each GPU.
        gpus_per_node: 0 asks for none.
        cpus_per_task: Cores of each process.
        memory_gb: Of a node.
        setup: Lines of shell before the job, such as ``module load``.
        extra: Other options of sbatch, by their names.

    Raises:
        FusionError: Where SLURM's commands or submitit are absent.
    """

    def __init__(
        self,
        *,
        folder: Path,
        n_jobs: int,
        seconds_between_looks: float,
        time: int,
        requeue: int,
        partition: str | None,
        account: str | None,
        nodes: int,
        tasks_per_node: int,
        gpus_per_node: int,
        cpus_per_task: int,
        memory_gb: float,
        setup: Sequence[str],
        extra: Mapping[str, Any],
    ) -> None:
        self.n_jobs, self._n_tasks = n_jobs, nodes * tasks_per_node
        self._queue = _Queue(seconds_between_looks)
        self._running: list[RunningInSlurm] = []
        self._executor = _executor(folder, max_num_timeout=requeue)
        self._executor.update_parameters(
            time=time,
            partition=partition,
            account=account,
            nodes=nodes,
            ntasks_per_node=tasks_per_node,
            gpus_per_node=gpus_per_node or None,
            cpus_per_task=cpus_per_task,
            mem=f"{round(memory_gb * 1024)}M",
            setup=list(setup),
            additional_parameters=dict(extra),
            stderr_to_stdout=True,
        )

    def start(self, command: Sequence[str], *, name: str, log: Path) -> RunningInSlurm:
        """See ``Backend``.

        Raises:
            FusionError: If SLURM refuses the job.
        """
        from submitit.core.utils import FailedJobError

        log = log.absolute()
        log.parent.mkdir(parents=True, exist_ok=True)
        # srun writes what the tasks print; SLURM's own words about the job go to the batch script's output. A task that
        # fails ends the others, which would wait for it.
        output = str(log).replace("%", "%%")
        label = ["--label"] if self._n_tasks > 1 else []
        srun = [f"--output={output}", "--open-mode=append", "--kill-on-bad-exit=1", *label]
        self._executor.update_parameters(job_name=name, srun_args=srun)
        with ExitStack() as stack:
            _outside_of_any_job(stack)
            try:
                job = self._executor.submit(CommandLine(command))
            except FailedJobError as error:
                raise FusionError(f"SLURM refused the job {name}: {error}") from error
        running = RunningInSlurm(self._queue, job.job_id, log=log, batch_log=job.paths.stdout, is_labeled=bool(label))
        self._running.append(running)
        return running

    def close(self) -> None:
        """See ``Backend``."""
        left = [job for job in self._running if job.poll() is None]
        if left:
            # All at once; each is then waited for.
            _ask("scancel", *(job.job_id for job in left))
        for job in left:
            job.cancel()


class _Queue:
    """The states of the user's jobs, asked for once for all of them."""

    def __init__(self, seconds_between_looks: float) -> None:
        self._seconds, self._looked, self._states = seconds_between_looks, float("-inf"), dict[str, str]()

    def look_again(self) -> None:
        """Ask again at the next question."""
        self._looked = float("-inf")

    def state(self, job_id: str) -> str:
        """What SLURM calls the state of a job, as of the last time that it was asked."""
        if time.monotonic() - self._looked < self._seconds:
            return self._states.get(job_id, "PENDING")
        self._looked = time.monotonic()
        user = str(os.getuid())
        status, said = _ask("squeue", "--noheader", "--states=all", f"--user={user}", "--format=%A %T")
        if status:
            # The controller may be starting anew; its jobs go on meanwhile.
            _log.warning("SLURM does not answer: %s", said.strip())
            return self._states.get(job_id, "PENDING")
        self._states = dict(line.split() for line in said.splitlines())
        return self._states.setdefault(job_id, _state_of_old(job_id))


def _state_of_old(job_id: str) -> str:
    """The state of a job that the controller has dropped from its memory, which it does after some minutes."""
    status, said = _ask("sacct", "--noheader", "--allocations", "--parsable2", "--format=State", f"--jobs={job_id}")
    # "CANCELLED by 1000"
    return said.split()[0] if status == 0 and said.strip() else _FORGOTTEN


def _ask(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout or done.stderr


def _executor(folder: Path, *, max_num_timeout: int) -> Any:
    missing = [name for name in ("sbatch", "srun", "squeue", "scancel") if shutil.which(name) is None]
    if missing:
        raise FusionError(
            f"hydra/launcher=slurm requires SLURM's commands on this machine, came none of {', '.join(missing)}; "
            "start the sweep on a login node of the cluster"
        )
    try:
        from submitit import SlurmExecutor
    except ModuleNotFoundError as error:
        if error.name != "submitit":
            raise
        raise FusionError(
            "hydra/launcher=slurm requires the package 'submitit', which is not installed: "
            "pip install 'fusion-radiomics[slurm]'"
        ) from error
    return SlurmExecutor(folder, max_num_timeout=max_num_timeout)


def _outside_of_any_job(stack: ExitStack) -> None:
    """A job that is submitted from within another inherits nothing of it but where SLURM is."""
    from submitit.helpers import clean_env, environment_variables

    kept = {"SLURM_CONF": os.environ["SLURM_CONF"]} if "SLURM_CONF" in os.environ else {}
    stack.enter_context(clean_env())
    # The log is the command's; what submitit says of itself would stand among it.
    stack.enter_context(environment_variables(SUBMITIT_LOG_LEVEL="CRITICAL", **kept))
