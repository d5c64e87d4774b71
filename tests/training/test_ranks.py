import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from number_cohort import CONFIG

from fusion.errors import FusionError
from fusion.training.rank import MEETING
from fusion.training.ranks import lend_device_if_rank, run_on_ranks


@pytest.fixture(autouse=True)
def _no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", MEETING):
        monkeypatch.delenv(name, raising=False)


def run(**changes: Any) -> list[str]:
    done: list[str] = []
    run_on_ranks(lambda: done.append("here"), trainer={**CONFIG["trainer"], **changes}, rerun=("resume=folder",))
    return done


def test_with_one_device_the_task_is_done_here() -> None:
    lend_device_if_rank(["trainer=ddp_slurm"])
    assert run() == ["here"]
    assert run(strategy="ddp") == ["here"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"devices": 2}, "trainer.strategy: required ddp, with trainer.devices=2, trainer.nodes=1, came 'none'"),
        ({"strategy": "fsdp"}, "trainer.strategy: required one of none, ddp, came 'fsdp'"),
        ({"launch": "mpi"}, "trainer.launch: required one of own, srun, came 'mpi'"),
        (
            {"precision": "half"},
            "trainer.precision: required one of auto, 32-true, 64-true, bf16-mixed, 16-mixed, came 'half'",
        ),
        (
            {"precision": "16-mixed", "accelerator": "cpu"},
            "trainer.precision: required any but 16-mixed, which takes a GPU, came '16-mixed'",
        ),
        ({"lr_scaling": "cubic"}, "trainer.lr_scaling: required one of none, linear, sqrt, came 'cubic'"),
        ({"devices": "auto"}, "trainer.devices: required a number of 1 or more, came 'auto'"),
        ({"devices": 0}, "trainer.devices: required a number of 1 or more, came 0"),
        (
            {"strategy": "ddp", "devices": 4, "batch_size": 3},
            "trainer.batch_size: required 4 or more: a case a device, came 3",
        ),
        ({"strategy": "ddp", "accelerator": "mps"}, "trainer.accelerator: required auto, cpu, gpu or cuda, with ddp"),
        ({"strategy": "ddp", "nodes": 2}, "trainer.nodes: required 1, or torchrun on every node, came 2"),
        (
            {"strategy": "ddp", "nodes": 2, "launch": "srun"},
            "trainer.launch=srun: required srun --ntasks=2, came a process alone",
        ),
        (
            {"strategy": "ddp", "accelerator": "cuda", "devices": 99, "batch_size": 99},
            "so many GPUs does torch find here; trainer.accelerator=cpu does without, came 99",
        ),
    ],
)
def test_devices_that_cannot_be_are_refused_by_name(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(FusionError) as error:
        run(**changes)
    assert problem in str(error.value)


def test_another_number_of_processes_than_of_devices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "3", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FusionError, match=r"required 3 processes, as torchrun or srun started them, came 2"):
        run(strategy="ddp", devices=2)


SCRIPT = """
import sys
from fusion.training.ranks import lend_device_if_rank, run_on_ranks

lend_device_if_rank(sys.argv[1:])
print("composed", *sys.argv[1:], flush=True)
trainer = {
    "accelerator": "cpu", "strategy": "ddp", "launch": "own", "devices": 2, "nodes": 1, "batch_size": 8,
    "precision": "auto", "lr_scaling": "none", "reference_batch_size": 32,
}
run_on_ranks(lambda: print("done", flush=True), trainer=trainer, rerun=("again",))
"""


def test_rank_0_alone_does_the_task_where_torchrun_starts_the_ranks(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "script.py", "first"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "composed first\ndone\n"), ended.stderr
