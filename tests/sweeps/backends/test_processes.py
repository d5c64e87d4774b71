import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fusion.sweeps.backends.processes import Processes

WAIT = "import time; print('here', flush=True); time.sleep(600)"


@pytest.fixture
def processes() -> Iterator[Processes]:
    backend = Processes(n_jobs=2, n_threads=None, gpus=[])
    yield backend
    backend.close()


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_what_a_command_prints_is_kept_after_what_was_there(processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "run" / "job.log"
    log.parent.mkdir()
    log.write_text("before\n")
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    job = processes.start([sys.executable, "-uc", code], name="job", log=log)
    until(lambda: job.poll() is not None)
    assert job.poll() == 3
    assert log.read_text() == "before\nout\nerr\n"


def test_a_killed_command_tells_by_which_signal(processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    job = processes.start([sys.executable, "-c", WAIT], name="job", log=log)
    until(lambda: log.read_text() == "here\n")
    assert job.poll() is None
    os.kill(job.pid, signal.SIGKILL)
    until(lambda: job.poll() is not None)
    assert job.poll() == -signal.SIGKILL


def test_a_cancelled_command_is_interrupted_as_by_its_user(processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    job = processes.start([sys.executable, "-c", WAIT], name="job", log=log)
    until(lambda: log.read_text() == "here\n")
    job.cancel()
    assert job.poll() == -signal.SIGINT
    assert "KeyboardInterrupt" in log.read_text()


def test_closing_leaves_nothing_that_runs(tmp_path: Path) -> None:
    backend = Processes(n_jobs=1, n_threads=None, gpus=[])
    job = backend.start([sys.executable, "-c", WAIT], name="job", log=tmp_path / "job.log")
    backend.close()
    assert job.poll() is not None


def test_jobs_share_the_cores_and_take_turns_on_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    backend = Processes(n_jobs=2, n_threads=None, gpus=[4, 5])
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES']); input()"
    logs = [tmp_path / name for name in ("a", "b")]
    for log in logs:
        backend.start([sys.executable, "-uc", code], name=log.name, log=log)
    for log in logs:
        until(lambda log=log: "\n" in log.read_text())  # type: ignore[misc]
    backend.close()
    assert [log.read_text().splitlines()[0] for log in logs] == ["4 4", "4 5"]


def test_a_number_of_threads_that_the_user_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    backend = Processes(n_jobs=1, n_threads=None, gpus=[])
    log = tmp_path / "log"
    job = backend.start([sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"], name="a", log=log)
    until(lambda: job.poll() is not None)
    backend.close()
    assert log.read_text() == "3\n"
