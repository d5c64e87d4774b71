import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from swept_runs import predictions, write_job, write_run

from fusion.sweeps import finish
from fusion.sweeps.finish import finish_sweep

SETTINGS: dict[str, Any] = {"comparison": {"n_permutations": 50, "within_centers": False}}
STRENGTHS = (0.4, 1.5, 0.9, 0.1)
# Of the test patients: the best is another one.
TEST = (0.71717, 0.61616, 0.81818, 0.91919)
Finish = Callable[[str], dict[str, Any]]


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders of the runs whose reports were written."""
    written: list[str] = []
    monkeypatch.setattr(finish, "report_parts", lambda run: {})
    monkeypatch.setattr(finish, "write_report", lambda run, **_: written.append(run.name))
    return written


@pytest.fixture
def finished(tmp_path: Path, reports: list[str]) -> Finish:
    """Ends a sweep of four finished runs, of which l1=1 is the best, and one that failed."""
    for number, strength in enumerate(STRENGTHS):
        job = write_job(tmp_path, number, "finished", f"l1={number}", "head=gated", seconds=3.0, overhead=1.0)
        run = write_run(tmp_path / job.folder, predictions(strength, seed=number))
        test = {"value": TEST[number], "ci_low": 0.5, "ci_high": 0.8, "n": 60}
        (run / "metrics.json").write_text(json.dumps({"test": {"auc": test, "auc_fold_mean": test}}))
    write_job(tmp_path, 4, "failed", "l1=4", "head=gated", error="CUDA out of memory", seconds=1.0)

    def end(test: str) -> dict[str, Any]:
        finish_sweep(tmp_path, {**SETTINGS, "test": test})
        return dict(json.loads((tmp_path / "sweep.json").read_text()))

    return end


def test_the_chosen_run_has_its_report_and_its_test_figures_and_no_other_has(
    finished: Finish, reports: list[str], tmp_path: Path
) -> None:
    found = finished("chosen")
    assert found["chosen"] == "l1=1,head=gated"
    assert reports == ["l1=1,head=gated"]
    assert [run["rank"] for run in found["runs"]] == [1, 2, 3, 4, None]
    assert [run["test"] is not None for run in found["runs"]] == [True, False, False, False, False]
    assert found["best_of_k"] is None
    page = (tmp_path / "sweep.html").read_text()
    assert "0.616" in page
    assert not any(f"{value:.3f}" in page + json.dumps(found) for value in TEST if value != TEST[1])
    assert found["states"] == {"finished": 4, "failed": 1}
    assert found["swept"] == ["l1"]
    assert "takes 8 ranked runs" in found["importance"]["absent"]


def test_all_test_figures_come_with_what_the_best_of_them_is_worth(finished: Finish) -> None:
    found = finished("all")
    assert [run["test"] is not None for run in found["runs"]] == [True] * 4 + [False]
    best = found["best_of_k"]
    assert (best["k"], best["best"], best["n_permutations"]) == (4, "l1=1,head=gated", 50)
    assert best["luck"]["best_q95"] > best["luck"]["one_q95"]
    assert found["chosen"] == "l1=1,head=gated"


def test_runs_that_cannot_be_compared_on_the_test_patients_are_no_failure(finished: Finish, tmp_path: Path) -> None:
    split = tmp_path / "l1=0,head=gated" / "split.csv"
    split.write_text(split.read_text().replace("test", "train", 1))
    assert "These runs cannot be compared" in finished("all")["best_of_k"]["absent"]


def test_the_leading_three_are_compared(finished: Finish) -> None:
    pairs = finished("chosen")["leading"]["pairs"]
    names = [f"l1={number},head=gated" for number in (1, 2, 0)]
    assert [(pair["better"], pair["other"]) for pair in pairs] == [
        (names[0], names[1]),
        (names[0], names[2]),
        (names[1], names[2]),
    ]


def test_a_report_that_is_there_is_left(finished: Finish, reports: list[str], tmp_path: Path) -> None:
    (tmp_path / "l1=1,head=gated" / "report.html").write_text("")
    finished("chosen")
    assert reports == []


def test_the_terminal_shows_the_ranking_and_what_went_wrong(finished: Finish, capsys: Any) -> None:
    finished("chosen")
    said = " ".join(capsys.readouterr().out.split())
    assert "5 runs by inner AUC" in said
    assert "Chosen by inner AUC, of 4 ranked runs: l1=1" in said
    assert "Not all runs came to their end (1 failed)" in said


def test_a_sweep_in_which_nothing_finished_says_so(tmp_path: Path, capsys: Any) -> None:
    write_job(tmp_path, 0, "failed", "l1=0", error="no such file")
    finish_sweep(tmp_path, {**SETTINGS, "test": "all"})
    assert "none has finished" in " ".join(capsys.readouterr().out.split())
    assert "no such file" in (tmp_path / "sweep.html").read_text()


def test_a_sweep_without_jobs_leaves_nothing(tmp_path: Path) -> None:
    finish_sweep(tmp_path, {**SETTINGS, "test": "chosen"})
    assert not (tmp_path / "sweep.html").exists()
