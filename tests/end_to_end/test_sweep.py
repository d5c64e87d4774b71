import contextlib
import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def rows(sweep_dir: Path) -> dict[str, dict[str, str]]:
    """What ``sweep.csv`` says of each job, by its folder."""
    with (sweep_dir / "sweep.csv").open(newline="") as stream:
        return {row["folder"]: row for row in csv.DictReader(stream)}


# A classical model of the table alone: a job takes little beyond its imports.
CLASSICAL = ("model=clinical", "cohort.simulation.n_patients=36", "evaluation.n_bootstrap=200", "explain=none")


def test_a_sweep_is_a_folder_a_run_and_a_larger_penalty_leaves_fewer_features(
    command: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    # Enough steps for the gates to get from where they start to 0 under any penalty that matters.
    steps = ("trainer.batch_size=4", "optimizer.lr_gates=0.05", "explain=none")
    primary = ("primary='l1=0'", "sweep.test=all", f"hydra.sweep.dir={tmp_path}")
    ended = command("train.py", "-m", "backbone=tiny", "l1=0,10", *tiny, *steps, *primary).succeeded()
    left = {}
    for folder in (path.parent for path in tmp_path.glob("*/config.yaml")):
        assert (folder / "report.html").exists()
        facts = json.loads((folder / "fold_0/fold.json").read_text())
        (l1,) = (part.removeprefix("l1=") for part in folder.name.split(",") if part.startswith("l1="))
        assert "backbone=tiny" in folder.name
        left[l1] = facts["radiomics_features"]
        if l1 == "0":
            assert facts["radiomics_features"] == facts["radiomics_candidates"] > 50
    assert set(left) == {"0", "10"}
    assert left["10"] < left["0"]

    comparison = json.loads((tmp_path / "comparison/comparison.json").read_text())
    assert comparison["primary"] == "l1=0"
    assert (tmp_path / "comparison/comparison.html").exists()
    assert "l1=10" in ended.stdout


def test_the_test_figures_of_the_chosen_run_alone_are_shown_and_the_second_command_does_nothing(
    command: Any, tmp_path: Path
) -> None:
    sweep = ("train.py", "-m", *CLASSICAL, "classifier=lr,knn", f"hydra.sweep.dir={tmp_path}")
    ended = command(*sweep).succeeded()
    assert not (tmp_path / "comparison").exists()
    ranking = json.loads((tmp_path / "sweep.json").read_text())
    (report,) = tmp_path.glob("*/report.html")
    assert report.parent.name == ranking["chosen"]
    table = rows(tmp_path)
    assert {row["state"] for row in table.values()} == {"finished"}
    assert ranking["chosen"] == max(table, key=lambda folder: float(table[folder]["inner_score"]))
    assert ended.stdout.count("finished, inner AUC") == 2

    # Of the runs and the jobs; the sweep's own page is made anew.
    ours = [path for path in tmp_path.glob("*/*") if path.suffix != ".lock" and path.parent.name != "figures"]
    files = {path: path.stat().st_mtime_ns for path in ours}
    again = command(*sweep).succeeded()
    assert "2 jobs, of them 2 done before" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_one_job_fails_and_one_is_killed_and_the_same_sweep_does_just_those_two(
    command: Any, tmp_path: Path, wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    processes = ("hydra/launcher=processes", "hydra.launcher.n_jobs=2")
    sweep = ("train.py", "-m", *CLASSICAL, "classifier=lr,knn,naive_bayes", f"hydra.sweep.dir={tmp_path}")
    folder = f"classifier={{}},{','.join(sorted(CLASSICAL))}".format
    # A folder where a file has to go: this job cannot end well.
    broken = tmp_path / folder("lr") / "split.csv"
    broken.mkdir(parents=True)

    started = command.start(*sweep, *processes)
    wait_for(lambda: bool(processes_of(tmp_path / folder("knn"))))
    (doomed,) = processes_of(tmp_path / folder("knn"))
    os.kill(doomed, signal.SIGKILL)
    wait_for(lambda: rows(tmp_path)[folder("knn")]["state"] == "killed")
    ended = started.wait()
    assert ended.status == 1
    states = {name: row["state"] for name, row in rows(tmp_path).items()}
    assert states == {folder("lr"): "failed", folder("knn"): "killed", folder("naive_bayes"): "finished"}
    assert "IsADirectoryError" in rows(tmp_path)[folder("lr")]["error"]
    assert "Traceback" in ended.stderr
    assert "2 jobs did not come to their end" in ended.stderr

    broken.rmdir()
    done = (tmp_path / folder("naive_bayes") / "metrics.json").stat().st_mtime_ns
    # Within one process, which is quicker: how its jobs are started is no part of a sweep.
    again = command(*sweep).succeeded()
    assert "3 jobs, of them 1 done before" in again.stdout
    assert {row["state"] for row in rows(tmp_path).values()} == {"finished"}
    assert (tmp_path / folder("naive_bayes") / "metrics.json").stat().st_mtime_ns == done


def processes_of(run: Path) -> list[int]:
    """Ids of the processes that were started on a run folder."""
    found = []
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"resume='{run}'".encode() in command_line.read_bytes().split(b"\0"):
                found.append(int(command_line.parent.name))
    return found
