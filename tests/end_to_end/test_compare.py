"""`fusion compare` as a user gives it, on run folders that the project's own writers wrote."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.cli import main
from fusion.records import Case, Cohort, Fold, Predictions
from fusion.runs.folder import LAST_OF_FOLD, RunFolder
from fusion.runs.tables import write_predictions
from fusion.storage import file_digest, write_json

LABELS = ("benign", "malignant")
IDS = tuple(f"{number:02d}" for number in range(40))


def fold(number: int, shift: int = 0) -> Fold:
    test = frozenset(IDS[(k + shift) % 40] for k in range(20 * number, 20 * number + 20))
    others = [patient for patient in IDS if patient not in test]
    return Fold(number=number, seed=0, train=frozenset(others[:15]), validation=frozenset(others[15:]), test=test)


def write_run(path: Path, *, backbone: str, strength: float, primary: str | None = None, shift: int = 0) -> Path:
    """A run of two folds whose model knows something."""
    folds = (fold(0, shift), fold(1, shift))
    run = RunFolder.begin(
        path,
        {
            "name": "study",
            "seed": 0,
            "primary": primary,
            "cohort": {"name": "salivary", "simulation": None},
            "split": {"name": "kfold"},
            "backbone": {"name": backbone},
            "evaluation": {"level": 0.95, "n_bootstrap": 100, "threshold": "youden"},
        },
    )
    truth = np.arange(40) % 2
    cases = tuple(
        Case(case_id=i, patient_id=i, center="north", image=None, mask=None, label=LABELS[t], clinical={})
        for i, t in zip(IDS, truth, strict=True)
    )
    run.write_split(Cohort(name="salivary", cases=cases, label_names=LABELS, clinical_columns=()), folds)
    for one in folds:
        write_json(run.fold(one.number) / "fold.json", {"thresholds": {"youden": 0.5}})
        write_predictions(run.fold(one.number) / LAST_OF_FOLD, predict(truth, (one,), strength))
    write_predictions(path / "predictions.csv", predict(truth, folds, strength))
    return path


def predict(truth: Any, folds: Sequence[Fold], strength: float) -> Predictions:
    rows = [(patient, one) for one in folds for patient in range(40)]
    noise = np.random.default_rng(0).normal(size=40)
    positive = np.array([1 / (1 + np.exp(-noise[i] - strength * (2 * truth[i] - 1))) for i, _ in rows])
    return Predictions(
        model="network",
        label_names=LABELS,
        patient_ids=tuple(IDS[i] for i, _ in rows),
        centers=("north",) * len(rows),
        parts=tuple(str(one.part_of(IDS[i])) for i, one in rows),
        folds=tuple(one.number for _, one in rows),
        labels=tuple(LABELS[truth[i]] for i, _ in rows),
        probabilities=np.stack([1 - positive, positive], axis=1),
    )


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    strengths = {"resnet18": 0.4, "densenet121": 0.9, "vit_small": 0.1}
    return [
        write_run(tmp_path / "runs" / f"job{k}", backbone=name, strength=strength, primary="resnet18")
        for k, (name, strength) in enumerate(strengths.items())
    ]


def test_three_runs(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, runs), "--permutations", "50", "--net-benefit-at", "0.3"]) == 0
    out = runs[0].parent / "comparison"
    written = json.loads((out / "comparison.json").read_text())
    assert written["split_sha256"] == file_digest(runs[0] / "split.csv")
    assert [model["name"] for model in written["models"]] == ["resnet18", "densenet121", "vit_small"]
    assert (written["primary"], written["primary_declared_in"]) == ("resnet18", "config.yaml")
    assert written["best_of_k"]["n_permutations"] == 50
    assert [point["threshold"] for point in written["comparisons"][0]["net_benefit"]] == [0.3]
    assert "reclassification" not in written["comparisons"][0]
    page = (out / "comparison.html").read_text()
    assert page.count("<svg") == 3
    shown = capsys.readouterr().out
    assert "3 models, 40 test patients" in shown
    assert f"written: {out / 'comparison.html'}" in shown


def test_names_primary_and_folder_are_the_users(runs: list[Path], tmp_path: Path) -> None:
    named = [f"ours={runs[1]}", f"theirs={runs[0]}"]
    out = tmp_path / "elsewhere"
    assert main(["compare", *named, "--primary", "ours", "--reclassification", "--out", str(out)]) == 0
    written = json.loads((out / "comparison.json").read_text())
    assert [model["name"] for model in written["models"]] == ["ours", "theirs"]
    assert (written["primary"], written["primary_declared_in"]) == ("ours", "the command line")
    assert written["comparisons"][0]["reclassification"]["idi"]["value"] < 0
    assert "Hilden &amp; Gerds" in (out / "comparison.html").read_text()


def test_the_same_runs_give_the_same_comparison(runs: list[Path], tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert main(["compare", *map(str, runs), "--permutations", "50", "--out", str(tmp_path / name)]) == 0
    first, second = ((tmp_path / name / "comparison.json").read_bytes() for name in ("first", "second"))
    assert first == second


def test_another_split_is_refused(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_run(tmp_path / "runs" / "other", backbone="tiny", strength=0.5, shift=1)
    assert main(["compare", str(runs[0]), str(other)]) == 1
    message = capsys.readouterr().err
    assert f"{other / 'split.csv'}: required the split of {runs[0]}: 40 patients, came 40 patients; " in message
    assert "patients are in other folds or parts; first: " in message
    assert "Traceback" not in message
    assert not (tmp_path / "runs" / "comparison").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--permutations", "0"], "permutations: required at least 1, came 0"),
        (["--net-benefit-at", "20"], "net benefit: required probabilities above 0 and below 1, came 20"),
        (["--primary", "nobody"], "--primary: required one of the models resnet18; densenet121; vit_small"),
    ],
)
def test_what_cannot_be_is_one_message(
    arguments: list[str], message: str, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *map(str, runs), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
