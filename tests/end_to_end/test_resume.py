import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

PREDICTIONS = "predictions.csv"


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_resuming_does_only_the_folds_that_are_not_finished(command: Any, crossvalidated: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(crossvalidated, tmp_path / "run"))
    shutil.rmtree(run / "fold_2")
    (run / "fold_1/predictions_cases.csv").unlink()
    for name in (PREDICTIONS, "metrics.json"):
        (run / name).unlink()
    before = {number: state_of(run / f"fold_{number}") for number in (0, 1)}
    command("train.py", f"resume={run}").succeeded()
    assert state_of(run / "fold_0") == before[0]
    assert state_of(run / "fold_1") != before[1]
    for name in (PREDICTIONS, "features.csv", "config.yaml", "attributions/branches.csv"):
        assert (run / name).read_bytes() == (crossvalidated / name).read_bytes(), name
    assert (run / "report.html").exists()


def test_resuming_a_finished_folder_trains_nothing_and_makes_no_other(
    command: Any, trained: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    before = state_of(run / "fold_0")
    command("train.py", f"resume={run}", "report=false").succeeded()
    assert state_of(run / "fold_0") == before
    for name in (PREDICTIONS, "metrics.json", "config.yaml"):
        assert (run / name).read_bytes() == (trained / name).read_bytes(), name
    assert not (command.directory / "runs/phantom").exists()


@pytest.mark.parametrize("number", [0, 1])
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(
    number: int, command: Any, wait_for: Any, tiny: tuple[str, ...], crossvalidated: Path, tmp_path: Path
) -> None:
    """Interrupted in the first fold, and in the second."""
    run = tmp_path / "run"
    folds = ("split=kfold", "split.n_folds=3", "explain=none")
    started = command.start("train.py", *tiny, *folds, f"hydra.run.dir={run}")
    # Lightning makes the folder when the fit begins.
    wait_for((run / f"fold_{number}").is_dir)
    os.kill(started.process, signal.SIGINT)
    ended = started.wait()
    assert ended.status == 130
    assert f"{number} finished folds are kept in {run}" in ended.stderr
    assert f"python train.py resume={run}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (run / f"fold_{number}/predictions_cases.csv").exists()

    if number:
        command("train.py", f"resume={run}", "report=false").succeeded()
        assert (run / PREDICTIONS).read_bytes() == (crossvalidated / PREDICTIONS).read_bytes()


def test_ctrl_c_before_anything_is_trained_says_how_to_go_on(
    command: Any, wait_for: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    cache = tmp_path / "cache"
    started = command.start("train.py", *tiny, f"hydra.run.dir={run}", cache=cache)
    wait_for((cache / "phantom").is_dir)
    os.kill(started.process, signal.SIGINT)
    ended = started.wait()
    assert ended.status == 130
    assert f"python train.py resume={run}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_that_is_no_run_is_one_message(command: Any, tmp_path: Path) -> None:
    ended = command("train.py", f"resume={tmp_path}")
    assert ended.status == 1
    assert ended.stderr.strip() == f"required a run folder of train.py, came {tmp_path}, which has no config.yaml"


def test_a_folder_of_another_split_is_refused(command: Any, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    split = run / "split.csv"
    split.write_text("".join(split.read_text().splitlines(keepends=True)[:-1]))
    before = state_of(run / "fold_0")
    ended = command("train.py", f"resume={run}")
    assert ended.status == 1
    assert "the cohort's table has changed since" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert state_of(run / "fold_0") == before
