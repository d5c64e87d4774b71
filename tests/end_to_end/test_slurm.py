"""On a real SLURM of two nodes, which is started here: ``make test-slurm``."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from end_to_end.slurm.cluster import cancel_all, started, why_not

from fusion.runs.tables import read_predictions

Start = Callable[..., subprocess.Popen[str]]
LAUNCHER = (
    "hydra/launcher=slurm",
    "hydra.launcher.time=30",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.memory_gb=1",
    "hydra.launcher.seconds_between_looks=0.5",
)


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    """The environment of a command that finds the cluster."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with started() as environment:
        yield environment


@pytest.fixture
def start(slurm: dict[str, str], environment: dict[str, str], root: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts train.py where the cluster is found; what it prints is in ``stdout`` and ``stderr``."""
    processes = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        with (tmp_path / "stdout").open("w") as stdout, (tmp_path / "stderr").open("w") as stderr:
            command = [sys.executable, str(root / "train.py"), *arguments]
            environ = {**environment, **slurm, "FUSION_CACHE": environment["FUSION_CACHE"], "OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr, text=True, env=environ, cwd=tmp_path)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
    # Of a test that failed; the next one needs the nodes.
    cancel_all(slurm)


def jobs_of(slurm: dict[str, str]) -> dict[str, str]:
    """Ids of SLURM's jobs by their names."""
    said = subprocess.run(["squeue", "-h", "-o", "%A %j"], env=slurm, capture_output=True, text=True, check=True).stdout
    return {name: job_id for job_id, name in (line.split(maxsplit=1) for line in said.splitlines())}


def wait_for(there: Callable[[], object], process: subprocess.Popen[str], errors: Path) -> None:
    """Until something is there, as long as the sweep runs that has to bring it."""
    while not there():
        assert process.poll() is None, errors.read_text()
        time.sleep(0.2)


def test_a_sweep_shows_the_job_that_fails_and_the_one_that_slurm_ends(
    start: Start, slurm: dict[str, str], tiny: tuple[str, ...], tmp_path: Path
) -> None:
    sweep, output, errors = (tmp_path / name for name in ("sweep", "stdout", "stderr"))
    epochs = "trainer.max_epochs"
    fixed = [override for override in tiny if not override.startswith(epochs)]
    small = ("model.branches=[image,clinical]", "explain=none", "trainer.patience=1000000")
    process = start("-m", *LAUNCHER, *fixed, *small, f"{epochs}=1,1000000,nonsense", f"hydra.sweep.dir={sweep}")
    wait_for(lambda: [*sweep.glob(f"*{epochs}=1000000*/fold_0")], process, errors)
    # Told while another one runs, which no one would wait for.
    wait_for(lambda: f"{epochs}=nonsense: failed" in output.read_text(), process, errors)
    assert "Traceback (most recent call last)" in errors.read_text()
    (endless,) = (job_id for name, job_id in jobs_of(slurm).items() if "1000000" in name.rpartition(epochs)[2])
    subprocess.run(["scancel", endless], env=slurm, check=True)
    assert process.wait() == 1, errors.read_text()

    with (sweep / "sweep.csv").open(newline="") as stream:
        rows = {row["overrides"].rpartition("=")[2]: row for row in csv.DictReader(stream)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "1": "finished",
        "1000000": "killed",
        "nonsense": "failed",
    }
    assert "Error: " in rows["nonsense"]["error"]
    assert f"SLURM ended job {endless}: CANCELLED" in errors.read_text()
    assert (sweep / rows["1"]["folder"] / "metrics.json").is_file()
    assert jobs_of(slurm) == {}


def test_ctrl_c_cancels_what_runs_and_what_waits(
    start: Start, slurm: dict[str, str], tiny: tuple[str, ...], tmp_path: Path
) -> None:
    fixed = [override for override in tiny if not override.startswith("trainer.max_epochs")]
    endless = ("trainer.max_epochs=1000000", "trainer.patience=1000000", "hydra.launcher.nodes=2")
    # Both nodes for each, so that one of them waits.
    process = start("-m", *LAUNCHER, *fixed, *endless, "seed=0,1", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    names = {"0", "1"}
    wait_for(lambda: {name.rpartition("seed=")[2] for name in jobs_of(slurm)} == names, process, tmp_path / "stderr")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130, (tmp_path / "stderr").read_text()
    assert jobs_of(slurm) == {}


def test_two_tasks_on_two_nodes_train_as_one_process_does(start: Start, tiny: tuple[str, ...], tmp_path: Path) -> None:
    small = (*tiny, "model.branches=[image,clinical]", "explain=none", "trainer.precision=32-true")
    # Where this machine is two nodes, their names are no hosts; elsewhere the ranks meet at the first node's.
    meeting = "hydra.launcher.setup=['export MASTER_ADDR=127.0.0.1']"
    nodes = ("trainer=ddp_slurm", "trainer.accelerator=cpu", "trainer.nodes=2", "trainer.devices=1", meeting)
    sweep, alone = tmp_path / "sweep", tmp_path / "alone"
    process = start("-m", *LAUNCHER, "hydra.launcher.nodes=2", *nodes, *small, "seed=3", f"hydra.sweep.dir={sweep}")
    assert process.wait() == 0, (tmp_path / "stderr").read_text()
    process = start(*small, "trainer.accelerator=cpu", "seed=3", f"hydra.run.dir={alone}")
    assert process.wait() == 0, (tmp_path / "stderr").read_text()

    (together,) = (path.parent for path in sweep.glob("*/metrics.json"))
    assert (together / "split.csv").read_bytes() == (alone / "split.csv").read_bytes()
    expected, found = (read_predictions(run / "predictions.csv", model="fusion") for run in (alone, together))
    assert found.patient_ids == expected.patient_ids
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    # SLURM's own names of the tasks.
    assert (together / "job.log").read_text().startswith("0: ")
