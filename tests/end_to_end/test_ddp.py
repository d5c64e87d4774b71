"""A run on two processes: killed, gone on with, and compared with a run on one device."""

import csv
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

FOLDS = (
    *("split=kfold", "split.n_folds=2", "explain=none", "report=false"),
    *("trainer.max_epochs=3", "trainer.batch_size=6", "trainer.precision=32-true"),
)


def ranks_of(process: int) -> dict[int, int]:
    """Process id by rank, of those that a process has started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            variables = dict(line.partition("=")[::2] for line in (folder / "environ").read_text().split("\0"))
        except (OSError, ValueError):
            continue
        if parent == process and "RANK" in variables:
            found[int(variables["RANK"])] = int(folder.name)
    return found


def probabilities(run: Path) -> Any:
    with (run / "predictions.csv").open(newline="") as stream:
        return np.array([[row["prob_benign"], row["prob_malignant"]] for row in csv.DictReader(stream)], dtype=float)


def test_killed_and_gone_on_with_two_processes_give_the_figures_of_one_device(
    command: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    kept = [override for override in tiny if not override.startswith("trainer.")]
    started = command.start("train.py", *kept, "trainer=ddp_cpu", *FOLDS, f"hydra.run.dir={two}")
    # The first fold is done, and the second has come through an epoch.
    while not any((two / "fold_1").glob(".unfinished/*/[!.]*.pt")):
        assert started.is_running(), "it ended too early"
        time.sleep(0.01)
    os.kill(ranks_of(started.process)[1], signal.SIGKILL)
    ended = started.wait()
    assert ended.status == 128 + signal.SIGKILL
    assert "rank 1 of 2 was killed by signal 9" in ended.stderr
    assert (two / "fold_0/predictions_cases.csv").exists()
    assert not (two / "fold_1/predictions_cases.csv").exists()

    command("train.py", f"resume={two}", "report=false").succeeded()
    command("train.py", *kept, *FOLDS, f"hydra.run.dir={one}").succeeded()
    assert (two / "split.csv").read_bytes() == (one / "split.csv").read_bytes()
    np.testing.assert_allclose(probabilities(two), probabilities(one), atol=1e-4)
    assert not [*two.glob("fold_*/.unfinished")]


def test_a_mistake_of_the_user_is_one_message(command: Any, tmp_path: Path) -> None:
    ended = command("train.py", "trainer=ddp_cpu", "trainer.devices=40", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.status == 1
    assert "trainer.batch_size: required 40 or more: a case a device, came 32" in ended.stderr
    assert "Traceback" not in ended.stderr
