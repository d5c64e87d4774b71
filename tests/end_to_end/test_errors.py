import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fusion.cli import main


def test_a_value_that_has_to_be_given_is_asked_for(command: Any, tmp_path: Path) -> None:
    ended = command("train.py", "cohort=breast", f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.status == 1
    assert ended.stderr.strip() == ("required a value for cohort.root, came none; add to the command: cohort.root=...")
    assert not (tmp_path / "run/config.yaml").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("backbone=resnet19", "resnet18"),
        ("split.n_fold=3", "Could not override 'split.n_fold'"),
        ("nonsense", "nonsense"),
    ],
)
def test_an_option_that_is_not_there_is_hydras_message(
    override: str, message: str, command: Any, tmp_path: Path
) -> None:
    ended = command("train.py", override, f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.status == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("fold=7",), "fold: required all or a number from 0 to 0, came 7"),
        (("backbone.name=resnet19",), "backbone.name: required a timm model, came 'resnet19'"),
        (("split=center", "split.train=[north]", "split.test=[mars]"), "the cohort has ['east', 'north'"),
        (("split=kfold", "split.n_folds=36"), "use fewer folds"),
        (("cohort=breast", "cohort.root=/nowhere"), "/nowhere"),
        pytest.param(
            ("trainer.accelerator=gpu",),
            "trainer.accelerator",
            marks=pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU"),
        ),
    ],
)
def test_a_value_that_does_not_fit_is_one_message_and_nothing_is_trained(
    overrides: tuple[str, ...], message: str, command: Any, tiny: tuple[str, ...], trained: Path, tmp_path: Path
) -> None:
    kept = tiny if "cohort=breast" not in overrides else tiny[1:]
    ended = command("train.py", *kept, *overrides, f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.status == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run/fold_0/model.ckpt").exists()


def test_every_problem_of_a_table_is_told_before_anything_is_trained(
    command: Any, tiny: tuple[str, ...], cohort: Any, tmp_path: Path
) -> None:
    def spoil(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        rows[0]["age"] = "old"
        rows[1]["diagnosis"] = "perhaps"
        rows[3]["id"] = rows[2]["id"]
        return rows

    ended = command("train.py", *tiny[1:], *cohort(spoil), f"hydra.run.dir={tmp_path / 'run'}")
    assert ended.status == 1
    assert "table.csv, row 2 (case P001), column 'age'" in ended.stderr
    assert "'perhaps'" in ended.stderr
    assert "P003" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run/split.csv").exists()


def test_check_audits_a_cohort(environment: dict[str, str], tiny: tuple[str, ...], tmp_path: Path) -> None:
    arguments = [str(Path(sys.executable).with_name("fusion")), "check", tiny[0]]
    ended = subprocess.run(arguments, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Cohort phantom" in ended.stdout
    assert "36" in ended.stdout


def test_check_names_a_file_that_is_not_there(
    cohort: Any, fusion_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FUSION_CACHE", str(fusion_cache))
    overrides = cohort()
    (tmp_path / "cohort/masks/P001.png").unlink()
    assert main(["check", *overrides]) == 1
    error = capsys.readouterr().err
    assert "masks/P001.png" in error
    assert "Traceback" not in error
