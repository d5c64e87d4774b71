"""Where the jobs of a sweep run: see ``conf/hydra/launcher``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from fusion.sweeps.backends.backend import Backend
    from fusion.sweeps.job import Job
    from fusion.sweeps.runner import Runner


class FusionLauncher(Launcher):
    """Runs those jobs of a sweep that have not come to their end.

    A job that fails is said to have, and is no error of the launcher: each ``JobReturn`` holds a ``JobRecord``.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs; return when all have ended."""
        from hydra.core.utils import setup_globals

        from fusion.entry import messages_for_people
        from fusion.sweeps.job import compose_jobs
        from fusion.sweeps.launching import run_jobs

        setup_globals()
        with messages_for_people():
            jobs = compose_jobs(self.hydra_context, self.config, job_overrides, first=initial_job_idx)
            records = run_jobs(jobs, self.runner(), stop_on_failure=self.config.sweep.stop_on_failure)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=record) for record in records]

    def runner(self) -> Runner:
        """Starts the jobs."""
        raise NotImplementedError


class SeriesLauncher(FusionLauncher):
    """One job after the other, in this process."""

    def runner(self) -> Runner:
        """Starts the jobs."""
        from fusion.sweeps.runner import InThisProcess

        return InThisProcess(self._call)

    def _call(self, job: Job) -> Any:
        from hydra.core.utils import run_job

        returned = run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=job.composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        # Its property would raise what the job raised.
        return returned._return_value


class CommandLauncher(FusionLauncher):
    """Each job a command line of its own."""

    def runner(self) -> Runner:
        """Starts the jobs."""
        from fusion.sweeps.runner import AsCommands

        return AsCommands(self.backend(), command=(sys.executable, str(Path(sys.argv[0]).resolve())))

    def backend(self) -> Backend:
        """Where they run."""
        raise NotImplementedError


class ProcessesLauncher(CommandLauncher):
    """Processes of this machine."""

    def __init__(self, *, n_jobs: int, n_threads: int | None, gpus: Sequence[int]) -> None:
        """Take the keys of ``conf/hydra/launcher/processes.yaml``."""
        self._settings: dict[str, Any] = {"n_jobs": n_jobs, "n_threads": n_threads, "gpus": list(gpus)}

    def backend(self) -> Backend:
        """Where they run."""
        from fusion.sweeps.backends.processes import Processes

        return Processes(**self._settings)
