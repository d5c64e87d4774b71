import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fusion.errors import FusionError
from fusion.records import Case, Cohort, Fold
from fusion.runs.folder import LAST_OF_FOLD, RunFolder
from fusion.runs.tables import read_rows, write_rows
from fusion.storage import file_digest, write_json

CONFIG: dict[str, Any] = {"seed": 0, "name": "Köln: yes", "l1": 1e-5, "cohort": {"root": None, "labels": ["no", "1"]}}


def case(case_id: str, patient_id: str, center: str) -> Case:
    return Case(
        case_id=case_id, patient_id=patient_id, center=center, image=None, mask=None, label="benign", clinical={}
    )


@pytest.fixture
def cohort() -> Cohort:
    cases = (case("3", "p2", "Köln, west"), case("1", "p10", "A"), case("2", "p10", "A"), case("4", "007", "A"))
    return Cohort(name="small", cases=cases, label_names=("benign", "malignant"), clinical_columns=())


@pytest.fixture
def folds() -> tuple[Fold, ...]:
    first = Fold(number=0, seed=0, train=frozenset({"p2"}), validation=frozenset({"007"}), test=frozenset({"p10"}))
    second = Fold(number=1, seed=0, train=frozenset({"p10", "007"}), validation=frozenset(), test=frozenset({"p2"}))
    return first, second


def finish(
    run: RunFolder, number: int, thresholds: dict[str, float] | None = None, **tables: list[list[object]]
) -> None:
    for name, rows in tables.items():
        write_rows(run.fold(number) / f"{name}.csv", ("fold", "value"), rows)
    facts = {"thresholds": thresholds or {}, "candidates": {"radiomics": 700 + number, "clinical": 5}}
    write_json(run.fold(number) / "fold.json", facts)
    (run.fold(number) / "model.ckpt").touch()
    write_rows(run.fold(number) / LAST_OF_FOLD, ("fold", "id"), [[number, "x"]])


def test_a_run_remembers_its_configuration(tmp_path: Path) -> None:
    run = RunFolder.begin(tmp_path / "runs" / "new", CONFIG)
    assert run.config == CONFIG
    assert RunFolder.open(run.path).config == CONFIG
    assert "Köln" in (run.path / "config.yaml").read_text(encoding="utf-8")


def test_a_run_may_be_begun_again_with_the_same_configuration(tmp_path: Path) -> None:
    RunFolder.begin(tmp_path, CONFIG)
    (tmp_path / "config.yaml").write_text("# a note\n" + (tmp_path / "config.yaml").read_text(encoding="utf-8"))
    before = (tmp_path / "config.yaml").stat()
    assert RunFolder.begin(tmp_path, CONFIG).config == CONFIG
    after = (tmp_path / "config.yaml").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_folder_is_not_shared_by_two_configurations(tmp_path: Path) -> None:
    RunFolder.begin(tmp_path, CONFIG)
    with pytest.raises(FusionError, match=r"came another one \(l1, new, seed\); choose a new folder, or .*resume="):
        RunFolder.begin(tmp_path, {"name": CONFIG["name"], "cohort": CONFIG["cohort"], "seed": 1, "l1": 0.0, "new": 1})
    assert RunFolder.open(tmp_path).config == CONFIG


def test_a_folder_without_a_configuration_is_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FusionError, match=rf"required a run folder of train.py, came {path}, which has no config"):
            RunFolder.open(path)


@pytest.mark.parametrize("text", ["- a\n- b\n", "", "a: [1\n", "just words\n"])
def test_a_configuration_that_is_none_is_a_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(FusionError, match=r"config\.yaml: required a run's configuration, came"):
        _ = RunFolder.open(tmp_path).config


def test_split_is_a_row_a_patient_and_fold(tmp_path: Path, cohort: Cohort, folds: tuple[Fold, ...]) -> None:
    run = RunFolder(tmp_path)
    digest = run.write_split(cohort, folds)
    assert (tmp_path / "split.csv").read_text(encoding="utf-8") == (
        "patient_id,center,fold,part\n"
        'p2,"Köln, west",0,train\n'
        "007,A,0,validation\n"
        "p10,A,0,test\n"
        "007,A,1,train\n"
        "p10,A,1,train\n"
        'p2,"Köln, west",1,test\n'
    )
    assert digest == file_digest(tmp_path / "split.csv")
    assert run.read_parts() == {
        "p2": {0: "train", 1: "test"},
        "007": {0: "validation", 1: "train"},
        "p10": {0: "test", 1: "train"},
    }


def test_split_is_written_once(tmp_path: Path, cohort: Cohort, folds: tuple[Fold, ...]) -> None:
    run = RunFolder(tmp_path)
    digest = run.write_split(cohort, folds)
    before = (tmp_path / "split.csv").stat()
    assert run.write_split(cohort, folds) == digest
    after = (tmp_path / "split.csv").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_another_split_is_refused_and_the_first_kept(tmp_path: Path, cohort: Cohort, folds: tuple[Fold, ...]) -> None:
    run = RunFolder(tmp_path)
    run.write_split(cohort, folds)
    before = (tmp_path / "split.csv").read_bytes()
    with pytest.raises(FusionError, match="required the split that this folder was begun with, came another one"):
        run.write_split(cohort, folds[:1])
    assert (tmp_path / "split.csv").read_bytes() == before


def test_a_fold_is_finished_by_its_last_file_only(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for number in (10, 30, 9, 2, 21, 0, 14):
        finish(run, number)
    (run.fold(2) / LAST_OF_FOLD).unlink()
    for other in ("fold_x", "fold_7", "folds_1"):
        (tmp_path / other).mkdir()
    assert run.finished == [0, 9, 10, 14, 21, 30]
    assert [run.is_finished(number) for number in (2, 7, 9)] == [False, False, True]
    assert run.models == [tmp_path / f"fold_{number}" / "model.ckpt" for number in run.finished]


def test_a_run_without_a_finished_fold_has_no_models(tmp_path: Path) -> None:
    (tmp_path / "fold_0").mkdir()
    with pytest.raises(FusionError, match=rf"came one without; finish it with: python train.py resume={tmp_path}"):
        _ = RunFolder(tmp_path).models


def test_thresholds_are_those_of_finished_folds_by_operating_point(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    finish(run, 0, {"youden": 0.1 + 0.2, "cost": 0.2})
    finish(run, 2, {"youden": 0.0, "cost": 0.5})
    run.fold(3).mkdir()
    assert run.thresholds == {"youden": {0: 0.1 + 0.2, 2: 0.0}, "cost": {0: 0.2, 2: 0.5}}


def test_what_each_fold_looked_at_is_said(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    finish(run, 0)
    finish(run, 3)
    assert [run.candidates(number) for number in run.finished] == [
        {"radiomics": 700, "clinical": 5},
        {"radiomics": 703, "clinical": 5},
    ]


def test_more_than_two_labels_have_no_thresholds(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    finish(run, 0)
    assert run.thresholds == {}


def test_which_folds_a_process_fits_is_no_part_of_a_run(tmp_path: Path) -> None:
    RunFolder.begin(tmp_path, CONFIG | {"fold": 3, "resume": None})
    assert RunFolder.begin(tmp_path, CONFIG | {"fold": "0", "resume": str(tmp_path)}).config["fold"] == "all"


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    run, other = RunFolder(tmp_path), RunFolder(tmp_path)
    with run.lock("x") as held:
        assert held
        with other.lock("x", wait=False) as too:
            assert not too
        with other.lock("y", wait=False) as free:
            assert free
    with other.lock("x", wait=False) as again:
        assert again


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom fusion.runs.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).lock('x'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with RunFolder(tmp_path).lock("x", wait=False) as held:
            assert not held
        process.kill()
        process.wait()
        with RunFolder(tmp_path).lock("x") as held:
            assert held


def test_unfinished_folds_are_given_to_one_process_each(tmp_path: Path, folds: tuple[Fold, ...]) -> None:
    run, other = RunFolder(tmp_path), RunFolder(tmp_path)
    finish(run, 0)
    mine = run.unfinished(folds)
    assert next(mine).number == 1
    with other.lock("fold_1", wait=False) as held:
        assert not held
    finish(run, 1)
    assert list(mine) == []
    assert list(other.unfinished(folds)) == []


def test_a_fold_that_another_process_left_is_done_in_the_end(tmp_path: Path, folds: tuple[Fold, ...]) -> None:
    run, other = RunFolder(tmp_path), RunFolder(tmp_path)
    theirs, mine = other.unfinished(folds), run.unfinished(folds)
    assert next(theirs).number == 0
    assert next(mine).number == 1
    theirs.close()  # It died over fold 0.
    finish(run, 1)
    assert [fold.number for fold in mine] == [0]


def test_finished_folds_are_joined_in_their_order(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    finish(run, 10, features=[[10, "c"]], branches=[[10, "g"]], radiomics=[[10, "r"]])
    finish(run, 2, features=[[2, "a"], [2, "b"]], branches=[[2, "f"]])
    finish(run, 3, features=[[3, "unfinished"]])
    (run.fold(3) / LAST_OF_FOLD).unlink()
    run.join_folds()
    assert read_rows(tmp_path / LAST_OF_FOLD)[1] == [["2", "x"], ["10", "x"]]
    assert read_rows(tmp_path / "features.csv")[1] == [["2", "a"], ["2", "b"], ["10", "c"]]
    assert read_rows(tmp_path / "attributions" / "branches.csv")[1] == [["2", "f"], ["10", "g"]]
    assert read_rows(tmp_path / "attributions" / "radiomics.csv")[1] == [["10", "r"]]
    assert not (tmp_path / "attributions" / "clinical.csv").exists()


def test_what_selections_leave_is_joined_where_there_is_some(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for number in (1, 0):
        tables: Any = {name: [[number, name]] for name in ("selection", "lasso_cv", "lasso_path", "nomogram", "inputs")}
        finish(run, number, **tables)
    run.join_folds()
    for name in ("selection", "lasso_cv", "lasso_path", "nomogram"):
        assert read_rows(tmp_path / f"{name}.csv") == (["fold", "value"], [["0", name], ["1", name]])
    assert read_rows(tmp_path / "attributions" / "inputs.csv")[1] == [["0", "inputs"], ["1", "inputs"]]
    assert not (tmp_path / "tuning.csv").exists()


def test_nothing_finished_is_nothing_joined(tmp_path: Path) -> None:
    RunFolder(tmp_path).join_folds()
    assert list(tmp_path.iterdir()) == []


def test_a_prediction_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("applied: {run: runs/mine/1}\n")
    with pytest.raises(FusionError, match=r"came a prediction of predict\.py; ask the run .* runs/mine/1"):
        RunFolder.open(tmp_path)
