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


def finish(run: RunFolder, number: int, threshold: float | None = 0.5, **tables: list[list[object]]) -> None:
    for name, rows in tables.items():
        write_rows(run.fold(number) / f"{name}.csv", ("fold", "value"), rows)
    write_json(run.fold(number) / "fold.json", {"threshold": threshold})
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


def test_thresholds_are_those_of_finished_folds_that_have_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for number, threshold in ((0, 0.1 + 0.2), (1, None), (2, 0.0)):
        finish(run, number, threshold)
    run.fold(3).mkdir()
    assert run.thresholds == {0: 0.1 + 0.2, 2: 0.0}


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


def test_nothing_finished_is_nothing_joined(tmp_path: Path) -> None:
    RunFolder(tmp_path).join_folds()
    assert list(tmp_path.iterdir()) == []
