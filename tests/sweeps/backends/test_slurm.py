"""Against programs that answer as SLURM's do; ``tests/end_to_end/test_slurm.py`` has a real one."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion.errors import FusionError
from fusion.sweeps.backends.slurm import CommandLine, Slurm

pytest.importorskip("submitit")

OPTIONS: dict[str, Any] = {
    "n_jobs": 4,
    "seconds_between_looks": 0,
    "time": 90,
    "requeue": 0,
    "partition": "gpu",
    "account": None,
    "nodes": 1,
    "tasks_per_node": 1,
    "gpus_per_node": 0,
    "cpus_per_task": 3,
    "memory_gb": 1.5,
    "setup": ["module load cuda"],
    "extra": {"qos": "long"},
}
PROGRAMS = {
    "sbatch": 'env > {folder}/environment; cp "$1" {folder}/script; echo Submitted batch job 7',
    "srun": "exit 1",
    "squeue": "cat {folder}/squeue",
    "sacct": "cat {folder}/sacct",
    "scancel": 'echo "$@" >> {folder}/cancelled; echo 7 CANCELLED > {folder}/squeue',
}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of what SLURM's programs answer and were told."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text("#!/bin/bash\n" + text.format(folder=tmp_path) + "\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "squeue").write_text("7 RUNNING\n8 FAILED\n")
    return tmp_path


@pytest.fixture
def slurm(fake: Path) -> Callable[..., Slurm]:
    return lambda **options: Slurm(folder=fake / "batch", **OPTIONS | options)


def printed(fake: Path, text: str, *, by_srun: str) -> None:
    """As a job leaves it: what its tasks printed, and what SLURM said of them."""
    (fake / "job.log").write_text(text)
    (fake / "batch/7_0_log.out").write_text(by_srun)


def test_a_job_is_submitted_with_its_resources(slurm: Callable[..., Slurm], fake: Path) -> None:
    many = {"nodes": 2, "tasks_per_node": 4, "gpus_per_node": 4}
    slurm(**many).start(["python", "train.py"], name="l1=0 seed=1", log=fake / "50%,l1=0/job.log")
    script = (fake / "script").read_text()
    for option in (
        "time=90",
        "partition=gpu",
        "nodes=2",
        "ntasks-per-node=4",
        "gpus-per-node=4",
        "cpus-per-task=3",
        "mem=1536M",
        "qos=long",
        "job-name='l1=0 seed=1'",
    ):
        assert f"#SBATCH --{option}\n" in script
    assert "--account" not in script
    assert script.index("module load cuda") < script.index("srun")
    # A per cent sign would be the beginning of a pattern.
    assert f"--output={fake}/50%%,l1=0/job.log --open-mode=append --kill-on-bad-exit=1 --label" in script
    slurm().start(["true"], name="one", log=fake / "job.log")
    script = (fake / "script").read_text()
    assert "gpus" not in script
    assert "--label" not in script


def test_a_job_knows_nothing_of_the_one_that_it_was_submitted_from(
    slurm: Callable[..., Slurm], fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SLURM_PROCID": "3", "RANK": "3", "SLURM_CONF": "somewhere", "OTHER": "kept"}.items():
        monkeypatch.setenv(name, value)
    slurm().start(["true"], name="one", log=fake / "job.log")
    environment = (fake / "environment").read_text().splitlines()
    assert {"SLURM_CONF=somewhere", "OTHER=kept"} <= set(environment)
    assert not [line for line in environment if line.startswith(("SLURM_PROCID", "RANK"))]
    assert os.environ["SLURM_PROCID"] == "3"


def test_a_job_is_followed_until_it_ends(slurm: Callable[..., Slurm], fake: Path) -> None:
    job = slurm().start(["true"], name="one", log=fake / "job.log")
    for state in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"):
        (fake / "squeue").write_text(f"7 {state}\n")
        assert job.poll() is None
    (fake / "squeue").write_text("7 COMPLETED\n")
    assert job.poll() == 0
    (fake / "squeue").write_text("")
    assert job.poll() == 0


@pytest.mark.parametrize(("exited", "status"), [(1, 1), (3, 3), (137, -signal.SIGKILL)])
def test_a_failed_job_has_its_commands_exit_status(
    exited: int, status: int, slurm: Callable[..., Slurm], fake: Path
) -> None:
    job = slurm().start(["true"], name="one", log=fake / "job.log")
    printed(fake, "ValueError: of the job\n", by_srun=f"srun: error: one: task 0: Exited with exit code {exited}\n")
    (fake / "squeue").write_text("7 FAILED\n")
    assert job.poll() == status
    assert (fake / "job.log").read_text() == "ValueError: of the job\n"


def test_of_several_tasks_the_first_that_failed_is_named(slurm: Callable[..., Slurm], fake: Path) -> None:
    job = slurm(nodes=2).start(["true"], name="two", log=fake / "job.log")
    printed(
        fake,
        "1: ValueError: of rank 1\n1: slurmstepd-one: error: CANCELLED\n0: Connection closed\n",
        by_srun="srun: error: two: task 1: Exited with exit code 1\n"
        "srun: error: one: task 0: Exited with exit code 143\n",
    )
    (fake / "squeue").write_text("7 FAILED\n")
    assert job.poll() == 1
    assert (fake / "job.log").read_text().endswith("\ntask 1 failed first: ValueError: of rank 1\n")


def test_where_no_task_was_started_slurm_says_why(slurm: Callable[..., Slurm], fake: Path) -> None:
    job = slurm().start(["true"], name="one", log=fake / "job.log")
    (fake / "batch/7_0_log.out").write_text("slurm_script: line 17: module: command not found\n")
    (fake / "squeue").write_text("7 FAILED\n")
    assert job.poll() == 1
    assert (fake / "job.log").read_text().endswith("module: command not found\n")


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("TIMEOUT", "hydra.launcher.time"),
        ("OUT_OF_MEMORY", "hydra.launcher.memory_gb"),
        ("CANCELLED", "by scancel"),
        ("NODE_FAIL", "a node of it broke down"),
    ],
)
def test_what_slurm_ends_is_said_to_be(state: str, means: str, slurm: Callable[..., Slurm], fake: Path) -> None:
    job = slurm().start(["true"], name="one", log=fake / "job.log")
    printed(fake, "epoch 3\n", by_srun="slurmstepd: error: because\n")
    (fake / "squeue").write_text(f"7 {state}\n")
    status = job.poll()
    assert status is not None
    assert status < 0
    *before, because, last = (fake / "job.log").read_text().splitlines()
    assert before == ["epoch 3"]
    assert because == "slurmstepd: error: because"
    assert last.startswith(f"SLURM ended job 7: {state} (")
    assert means in last


@pytest.mark.parametrize(("sacct", "status"), [("COMPLETED\n", 0), ("CANCELLED by 1000\n", -15), ("", -9)])
def test_a_job_that_slurm_has_forgotten_is_looked_up_in_its_books(
    sacct: str, status: int, slurm: Callable[..., Slurm], fake: Path
) -> None:
    job = slurm().start(["true"], name="one", log=fake / "job.log")
    (fake / "squeue").write_text("8 RUNNING\n")
    (fake / "sacct").write_text(sacct)
    assert job.poll() == status


def test_a_slurm_that_does_not_answer_for_a_while_ends_nothing(
    slurm: Callable[..., Slurm], fake: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = slurm().start(["true"], name="one", log=fake / "job.log")
    assert job.poll() is None
    (fake / "squeue").rename(fake / "away")
    with caplog.at_level(logging.WARNING):
        assert job.poll() is None
    assert "SLURM does not answer" in caplog.text
    (fake / "squeue").write_text("7 COMPLETED\n")
    assert job.poll() == 0


def test_slurm_is_asked_once_for_all_jobs_and_not_always(slurm: Callable[..., Slurm], fake: Path) -> None:
    backend = slurm(seconds_between_looks=3600)
    jobs = [backend.start(["true"], name=name, log=fake / f"{name}.log") for name in "ab"]
    assert [job.poll() for job in jobs] == [None, None]
    (fake / "squeue").write_text("7 COMPLETED\n")
    assert [job.poll() for job in jobs] == [None, None]
    backend.close()
    # Whoever cancels waits no hour to see it.
    assert (fake / "cancelled").read_text() == "7 7\n7\n"
    assert [job.poll() for job in jobs] == [-15, -15]


def test_a_refused_job_says_why(slurm: Callable[..., Slurm], fake: Path) -> None:
    (fake / "bin/sbatch").write_text("#!/bin/bash\necho 'sbatch: error: invalid partition: gpu' >&2; exit 1\n")
    with pytest.raises(FusionError, match=r"(?s)SLURM refused the job l1=0: .*invalid partition: gpu"):
        slurm().start(["true"], name="l1=0", log=fake / "job.log")


def test_what_is_not_installed_is_named(
    slurm: Callable[..., Slurm], fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "submitit", None)
        with pytest.raises(FusionError, match=r"'submitit'.* 'fusion-radiomics\[slurm\]'"):
            slurm()
    (fake / "bin/srun").unlink()
    monkeypatch.setenv("PATH", str(fake / "bin"))
    with pytest.raises(FusionError, match="came none of srun"):
        slurm()


@pytest.mark.parametrize(("code", "status"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_a_commands_exit_status_is_its_tasks(code: str, status: int) -> None:
    with pytest.raises(SystemExit) as ended:
        CommandLine([sys.executable, "-c", code])()
    assert ended.value.code == status
    CommandLine(["true"])()


AFTER_A_WARNING = """
import os, signal, sys, subprocess
from submitit.core.utils import UncompletedJobError
from fusion.sweeps.backends.slurm import CommandLine

def warned(*_):
    {handler}

signal.signal(signal.SIGUSR2, warned)
child = "import os, signal, time; " + {first!r}
child += "os.kill(os.getpid(), signal.SIGUSR2); os.kill(os.getppid(), signal.SIGUSR2); "
CommandLine([sys.executable, "-c", child + {then!r}])()
print("ended by itself")
"""


def run_warned(folder: Path, handler: str, *, then: str, first: str = "") -> tuple[int, str]:
    """Exit status and output; to a file, since what is left running would hold a pipe open."""
    code = AFTER_A_WARNING.format(handler=handler, then=then, first=first)
    with (folder / "output").open("w") as output:
        status = subprocess.run([sys.executable, "-c", code], stdout=output, check=False).returncode
    return status, (folder / "output").read_text()


def test_a_job_that_is_not_requeued_uses_the_time_that_is_left(tmp_path: Path) -> None:
    ends = "time.sleep(0.2); print('to its end', flush=True)"
    assert run_warned(tmp_path, "raise UncompletedJobError", then=ends) == (0, "to its end\nended by itself\n")


def test_a_job_that_is_requeued_leaves_nothing_running(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    first = f"open({str(said)!r}, 'w').write(str(os.getpid())); "
    assert run_warned(tmp_path, "sys.exit(255)", first=first, then="time.sleep(60)") == (255, "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.read_text()), 0)


def test_what_is_requeued_is_the_same_command() -> None:
    command = CommandLine(["true"])
    assert command.checkpoint().function is command


def test_the_launcher_is_configured_with_what_it_takes(root: Path) -> None:
    written = yaml.safe_load((root / "conf/hydra/launcher/slurm.yaml").read_text())
    assert {*written} - {"_target_"} == {*inspect.signature(Slurm).parameters} - {"folder"}
    module, _, launcher = written["_target_"].rpartition(".")
    assert hasattr(importlib.import_module(module), launcher)
