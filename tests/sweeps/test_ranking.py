from pathlib import Path

import pytest
from swept_runs import predictions, write_job, write_run

from fusion.sweeps.ranking import Ranking, rank_runs
from fusion.sweeps.records import read_records


def rank(sweep_dir: Path) -> Ranking:
    return rank_runs(sweep_dir, read_records(sweep_dir))


def test_runs_are_ranked_by_their_inner_score_and_nothing_else(tmp_path: Path) -> None:
    for number, strength in enumerate((0.2, 2.0, 0.8)):
        job = write_job(tmp_path, number, "finished", "a=1", f"l1={number}", seconds=2.0, overhead=0.5)
        write_run(tmp_path / job.folder, predictions(strength, seed=number))
    write_job(tmp_path, 3, "failed", "a=1", "l1=3", error="no memory", seconds=1.0)
    write_job(tmp_path, 4, "pruned", "a=1", "l1=4", error="given up")
    found = rank(tmp_path)
    assert [run.values["l1"] for run in found.ranked] == ["1", "2", "0"]
    assert [(run.state, run.error) for run in found.others] == [("pruned", "given up"), ("failed", "no memory")]
    assert found.chosen is found.ranked[0]
    assert found.chosen.inner is not None
    assert found.chosen.inner.auc > 0.95
    assert (found.chosen.seconds, found.chosen.overhead, found.swept) == (2.0, 0.5, ("l1",))


def test_the_folds_of_a_run_are_one_row_in_the_state_that_needs_attention_most(tmp_path: Path) -> None:
    for number, state in enumerate(("finished", "failed")):
        write_job(tmp_path, number, state, "l1=0", f"fold={number}", seconds=2.0, error="gone" * (state == "failed"))
        write_job(tmp_path, 2 + number, "finished", "l1=1", f"fold={number}", seconds=3.0)
    write_run(tmp_path / "l1=1", predictions(1, seed=0))
    write_run(tmp_path / "l1=0", predictions(3, seed=0), finished=(0,), is_joined=False)
    found = rank(tmp_path)
    assert [(run.folder, run.state, run.seconds) for run in found.ranked] == [("l1=1", "finished", 6.0)]
    assert [(run.folder, run.state, run.error) for run in found.others] == [("l1=0", "failed", "gone")]
    assert (found.swept, found.ranked[0].values) == (("l1",), {"l1": "1"})


def test_scores_of_other_patients_are_not_ranked_and_it_says_why(tmp_path: Path) -> None:
    for number, n_folds in enumerate((2, 2, 3)):
        job = write_job(tmp_path, number, "finished", f"l1={number}")
        scored = predictions((0.5, 0.7, 3.0)[number], seed=number, n_folds=n_folds)
        # Out of fold, so that scores of the same patients can be ranked, whatever the others are of.
        split = {"split": {"name": "kfold", "n_inner_folds": 3}}
        write_run(tmp_path / job.folder, scored, finished=tuple(range(n_folds)), changes=split)
    found = rank(tmp_path)
    assert {run.folder for run in found.ranked} | set(found.not_ranked) == {"l1=0", "l1=1", "l1=2"}
    assert list(found.not_ranked) == ["l1=2"]
    assert "training patients" in found.not_ranked["l1=2"]


def test_a_single_finished_run_is_the_chosen_one(tmp_path: Path) -> None:
    write_run(tmp_path / write_job(tmp_path, 0, "finished", "l1=0").folder, predictions(1, seed=0))
    found = rank(tmp_path)
    assert found.chosen is not None
    assert (found.chosen.folder, found.swept) == ("l1=0", ())


@pytest.mark.parametrize("state", ["failed", "running"])
def test_nothing_is_chosen_where_nothing_is_finished(tmp_path: Path, state: str) -> None:
    write_job(tmp_path, 0, state, "l1=0")
    assert rank(tmp_path).chosen is None
