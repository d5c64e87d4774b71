from pathlib import Path
from typing import Any

from fusion.tracking.tracked import EVALUATION, Tracked


def tracked(run_dir: Path, part: str, **changes: Any) -> Tracked:
    return Tracked(**{"run_dir": run_dir, "part": part, "config": {"name": "phantom"}, "sweep": None} | changes)


def test_a_fold_and_the_evaluation_are_named_and_grouped(tmp_path: Path) -> None:
    fold, evaluation = tracked(tmp_path / "l1=0", "fold_2"), tracked(tmp_path / "l1=0", EVALUATION)
    assert (fold.name, fold.group, fold.out_dir) == ("phantom-l1=0-fold_2", "phantom-l1=0", tmp_path / "l1=0/fold_2")
    assert (evaluation.name, evaluation.out_dir) == ("phantom-l1=0-evaluation", tmp_path / "l1=0")
    assert tracked(tmp_path / "l1=0", "fold_2", sweep="phantom-sweep").group == "phantom-sweep"


def test_long_names_of_jobs_are_shortened_to_what_a_server_takes(tmp_path: Path) -> None:
    runs = [tracked(tmp_path / f"{'optimizer.lr=0.001,' * 20}l1={l1}", "fold_0") for l1 in (1, 2)]
    assert all(len(run.name) <= 128 and len(run.group) <= 128 for run in runs)
    assert len({run.name for run in runs}) == 2
    assert all(run.name.endswith("-fold_0") for run in runs)


def test_an_identifier_is_kept_and_no_other_part_or_run_has_it(tmp_path: Path) -> None:
    parts = [(tmp_path / run, part) for run in ("a", "b") for part in ("fold_0", "fold_1", EVALUATION)]
    identifiers = [tracked(*part).identifier() for part in parts]
    assert len(set(identifiers)) == 6
    assert [tracked(*part).identifier() for part in parts] == identifiers
