"""Folds in one process, one after the other, in several at once, and after a kill: the same run to the last byte."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

FOLDS = ("split=kfold", "split.n_folds=3", "explain=none")
LEAN = (*FOLDS, "report=false")
SAME = (
    "metrics.json",
    "predictions.csv",
    "predictions_inner.csv",
    "features.csv",
    "split.csv",
    "attributions/branches.csv",
)


def assert_same_run(run: Path, other: Path) -> None:
    for name in SAME:
        assert (run / name).read_bytes() == (other / name).read_bytes(), name


def test_folds_of_a_sweep_are_parts_of_one_run(
    command: Any, tiny: tuple[str, ...], crossvalidated: Path, tmp_path: Path
) -> None:
    command(
        "train.py", "-m", *tiny, *FOLDS, "fold=2,0,1", f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=run"
    ).succeeded()
    assert_same_run(tmp_path / "run", crossvalidated)


def test_a_sweep_over_folds_of_a_holdout_divides_as_often_and_its_rerun_does_nothing(
    command: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    sweep = ("train.py", "-m", *tiny, "explain=none", "fold=0,1", f"hydra.sweep.dir={tmp_path}")
    ended = command(*sweep).succeeded()
    assert "split=holdout: split.n_divisions=2" in ended.stdout
    (metrics,) = tmp_path.glob("*/metrics.json")
    assert json.loads(metrics.read_text())["folds"] == {"finished": [0, 1], "planned": 2}
    assert "2 jobs, of them 2 done before" in command(*sweep).succeeded().stdout


def test_processes_at_once_share_the_folds_of_a_run(
    command: Any, tiny: tuple[str, ...], crossvalidated: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for process in [command.start("train.py", *tiny, *LEAN, f"hydra.run.dir={run}") for _ in range(2)]:
        process.wait().succeeded()
    assert_same_run(run, crossvalidated)
    stages = json.loads((run / "manifest.json").read_text())["stages"]
    assert {"fold_0", "fold_1", "fold_2"} <= set(stages)


def test_one_fold_alone_says_that_others_are_missing(
    command: Any, tiny: tuple[str, ...], crossvalidated: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ended = command("train.py", *tiny, *FOLDS, "fold=1", f"hydra.run.dir={run}").succeeded()
    assert json.loads((run / "metrics.json").read_text())["folds"] == {"finished": [1], "planned": 3}
    assert "1 of 3 folds" in ended.stdout
    assert (run / "fold_1/predictions_cases.csv").read_bytes() == (
        crossvalidated / "fold_1/predictions_cases.csv"
    ).read_bytes()


def test_killed_in_the_third_fold_the_rerun_ends_with_the_same_metrics(
    command: Any, wait_for: Any, tiny: tuple[str, ...], crossvalidated: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ("train.py", *tiny, *LEAN, f"hydra.run.dir={run}")
    started = command.start(*arguments)
    wait_for((run / "fold_2").is_dir)
    os.kill(started.process, signal.SIGKILL)
    assert started.wait().status == -signal.SIGKILL
    assert not (run / "fold_2/predictions_cases.csv").exists()
    kept = {number: (run / f"fold_{number}/model.ckpt").stat().st_mtime_ns for number in (0, 1)}
    # The same command goes on, and so does resume=.
    shutil.copytree(run, tmp_path / "copy")
    command(*arguments).succeeded()
    command("train.py", f"resume={tmp_path / 'copy'}", "report=false").succeeded()
    for again in (run, tmp_path / "copy"):
        assert_same_run(again, crossvalidated)
    assert kept == {number: (run / f"fold_{number}/model.ckpt").stat().st_mtime_ns for number in (0, 1)}
