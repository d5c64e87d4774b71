import csv
import re
from pathlib import Path
from typing import Any

import pytest
from wandb_file import read_wandb

from fusion.runs.pseudonyms import pseudonyms
from fusion.tracking.hidden_report import hidden_report

TESTED = re.compile(r"(?:patient|case)-[0-9a-f]{16}")


def column(path: Path, name: str) -> list[float]:
    with path.open(newline="") as stream:
        return [float(row[name]) for row in csv.DictReader(stream) if row[name]]


@pytest.fixture(scope="module")
def swept(command: Any, tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A sweep of two jobs of two folds each, one after the other in one process, and what it printed."""
    sweep = tmp_path_factory.mktemp("tracking") / "sweep"
    folds = ("split=kfold", "split.n_folds=2", "explain=none", "evaluation.n_bootstrap=100", "trainer.max_epochs=2")
    ended = command(
        "train.py", "-m", *tiny, *folds, "l1=0,10", "logger=[wandb,tensorboard]", f"hydra.sweep.dir={sweep}"
    )
    return sweep, ended.succeeded().stdout


def test_each_fold_and_each_evaluation_of_a_sweep_is_a_run_of_its_own_in_one_group(swept: tuple[Path, str]) -> None:
    sweep, printed = swept
    jobs = [path.parent for path in sweep.glob("*/config.yaml")]
    assert len(jobs) == 2
    runs = {job: read_wandb(job) for job in jobs}
    assert [set(of_job) for of_job in runs.values()] == [{"fold_0", "fold_1", "evaluation"}] * 2
    every = [run for of_job in runs.values() for run in of_job.values()]
    assert len({run.run_id for run in every}) == 6
    (group,) = {run.group for run in every}
    assert "sweep" in group
    assert {run.exit_code for run in every} == {0}
    for job, of_job in runs.items():
        assert printed.count(f"wandb sync {job / 'wandb'}") == 1
        for number in (0, 1):
            table = job / f"fold_{number}/metrics.csv"
            for name in ("train/loss", "validation/loss", "validation/auc_image", "gate/image", "lr/gates"):
                assert of_job[f"fold_{number}"].column(name) == pytest.approx(column(table, name), rel=1e-6)
            assert len(list((job / f"fold_{number}/tensorboard").glob("events*"))) > 0
        assert of_job["fold_0"].config["l1"] == of_job["evaluation"].config["l1"]
        of_folds = [of_job[f"fold_{number}"].summary["inner_auc"] for number in (0, 1)]
        assert of_job["evaluation"].summary["inner_auc"] == pytest.approx(sum(of_folds) / 2)
        assert not [name for run in of_job.values() for name in run.summary if name.startswith("test/")]
    assert {run.config["l1"] for run in every} == {0, 10}


def test_nothing_of_a_run_holds_a_patients_id(swept: tuple[Path, str]) -> None:
    for job in (path.parent for path in swept[0].glob("*/config.yaml")):
        with (job / "predictions_cases.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        ids = {row[name].encode() for row in rows for name in ("patient_id", "case_id")}
        logged = [*job.glob("wandb/**/*"), *job.glob("fold_*/tensorboard/*"), *job.glob("tensorboard/**/*")]
        contents = [path.read_bytes() for path in logged if path.is_file()]
        assert len(contents) > 20
        assert not [content for content in contents if any(each in content for each in ids)]


def test_a_report_with_other_ids_is_the_same_but_for_them(trained: Path, tmp_path: Path) -> None:
    naming = pseudonyms(tmp_path / "key")
    with hidden_report(trained, naming) as page:
        hidden = page.read_text()
    assert not page.exists()
    shown = (trained / "report.html").read_text()
    with (trained / "predictions_cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    ids = {(kind, row[f"{kind}_id"]) for row in rows for kind in ("patient", "case")}
    assert any(f">{each}<" in shown for _, each in ids), "the report names patients"
    assert not [each for _, each in ids if each in hidden]
    known = {naming(kind, each) for kind, each in ids}
    assert set(TESTED.findall(hidden)) <= known
    assert TESTED.findall(hidden)
    assert abs(len(hidden) - len(shown)) < 0.05 * len(shown)
