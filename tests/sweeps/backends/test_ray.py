"""With a real Ray of this machine."""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from fusion.errors import FusionError
from fusion.sweeps.backends.ray import Ray, RunningInRay

Start = Callable[..., RunningInRay]


def test_a_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FusionError, match=r"'ray'.* 'fusion-radiomics\[ray\]'"):
        Ray(n_jobs=1, cpus=1, gpus=0)


@pytest.fixture(scope="module")
def backend() -> Iterator[Ray]:
    pytest.importorskip("ray")
    backend = Ray(n_jobs=4, cpus=0.25, gpus=0)
    yield backend
    backend.close()


@pytest.fixture
def start(backend: Ray, tmp_path: Path) -> Start:
    """Starts a Python program; its log is named after it."""

    def start(name: str, code: str) -> RunningInRay:
        return backend.start([sys.executable, "-c", code], name=name, log=tmp_path / "logs" / f"{name}.log")

    return start


def wait_for(there: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def test_jobs_end_with_their_status_and_their_words(start: Start, tmp_path: Path) -> None:
    programs = {
        "good": ("import os; print('here:', os.getcwd())", 0),
        "bad": ("raise ValueError('made to fail')", 1),
        "killed": ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        # Its worker, as where a node breaks down.
        "lost": ("import os; os.kill(os.getppid(), 9)", -signal.SIGKILL),
    }
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/good.log").write_text("of an earlier start\n")
    jobs = {name: start(name, code) for name, (code, _) in programs.items()}
    wait_for(lambda: all(job.poll() is not None for job in jobs.values()))
    assert {name: job.poll() for name, job in jobs.items()} == {name: status for name, (_, status) in programs.items()}
    logs = {name: (tmp_path / f"logs/{name}.log").read_text() for name in programs}
    assert logs["good"] == f"of an earlier start\nhere: {Path.cwd()}\n"
    assert logs["bad"].splitlines()[-1] == "ValueError: made to fail"
    assert logs["lost"].startswith("Ray ended the job: WorkerCrashedError")


def test_a_cancelled_job_is_interrupted_as_by_ctrl_c(start: Start, tmp_path: Path) -> None:
    job = start("long", "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    log = tmp_path / "logs/long.log"
    wait_for(lambda: log.exists() and log.read_text())
    process = int(log.read_text())
    assert job.poll() is None
    job.cancel()
    assert job.poll() == -signal.SIGINT
    assert "KeyboardInterrupt" in log.read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_no_statistics_leave_the_machine(backend: Ray) -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_the_launcher_is_configured_with_what_it_takes(root: Path) -> None:
    written = yaml.safe_load((root / "conf/hydra/launcher/ray.yaml").read_text())
    assert {*written} - {"_target_"} == {*inspect.signature(Ray).parameters}
    module, _, launcher = written["_target_"].rpartition(".")
    assert hasattr(importlib.import_module(module), launcher)
