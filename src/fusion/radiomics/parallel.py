"""Run one task per case on joblib's backends, with a progress bar."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import joblib
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fusion.errors import FusionError

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    function: Callable[[Task], Result], tasks: Sequence[Task], *, backend: str, n_jobs: int, title: str
) -> list[Result]:
    """Results in the order of the tasks.

    Args:
        function: Importable by name where the workers run.
        tasks: Plain records.
        backend: ``loky`` (processes of this machine), ``dask`` (the scheduler at ``DASK_SCHEDULER_ADDRESS``, else
            a cluster of this machine for as long as this takes) or ``ray`` (the cluster at ``RAY_ADDRESS``, else one
            of this machine for as long as this takes).
        n_jobs: Workers; -1 for one per core. A cluster that runs already has its own number.
        title: Stands before the progress bar.

    Raises:
        FusionError: For a backend whose package is not installed.
    """
    n_workers = min(joblib.effective_n_jobs(n_jobs), len(tasks))
    with _connected(backend, n_workers), _progress(title, len(tasks)) as report:
        # One task at a time: each takes long against its dispatch, and the bar moves with each.
        parallel = _ReportingParallel(report, batch_size=1)
        results: list[Result] = parallel(joblib.delayed(function)(task) for task in tasks)
    return results


class _ReportingParallel(joblib.Parallel):  # type: ignore[misc]  # joblib has no types.
    """joblib's one hook that every backend calls when a task ends."""

    def __init__(self, report: Callable[[int], None], **options: Any) -> None:
        super().__init__(**options)
        self._report = report

    def print_progress(self) -> None:
        self._report(self.n_completed_tasks)


@contextmanager
def _progress(title: str, n_tasks: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(title, total=n_tasks)
        yield lambda n_done: progress.update(bar, completed=n_done)


@contextmanager
def _connected(backend: str, n_workers: int) -> Iterator[None]:
    connect = {"loky": joblib.parallel_config, "dask": _dask, "ray": _ray}[backend]
    try:
        with connect(backend, n_jobs=n_workers):
            yield
    except ModuleNotFoundError as error:
        if error.name not in {"dask", "distributed", "ray"}:
            raise
        raise FusionError(
            f"radiomics.backend={backend} requires the package {error.name!r}, which is not installed: "
            f"pip install 'fusion-radiomics[{backend}]'"
        ) from error


@contextmanager
def _dask(backend: str, *, n_jobs: int) -> Iterator[None]:
    import distributed

    dask: Any = distributed
    with ExitStack() as stack:
        address = os.environ.get("DASK_SCHEDULER_ADDRESS")
        if address is None:
            local = dask.LocalCluster(n_workers=n_jobs, threads_per_worker=1, dashboard_address=None)
            address = stack.enter_context(local)
        client = stack.enter_context(dask.Client(address))
        stack.enter_context(joblib.parallel_config(backend, client=client))
        yield


@contextmanager
def _ray(backend: str, *, n_jobs: int) -> Iterator[None]:
    # Nothing leaves the machine unless the user asks for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.util.joblib import register_ray

    with ExitStack() as stack:
        if not ray.is_initialized():
            local: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": n_jobs}
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **local)
            stack.callback(ray.shutdown)
        register: Any = register_ray
        register()
        stack.enter_context(joblib.parallel_config(backend))
        yield
