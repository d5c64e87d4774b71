"""The papers' models as commands: a run folder like any other, a sweep over classifiers, a classifier in one file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

SMALL = (
    "split.n_inner_folds=3",
    "split.validation_fraction=0.4",
    "selection.n_folds=3",
    "selection.n_lambdas=20",
    "selection.n_bootstrap=5",
    "selection.lambda=min",
    "selection.filters=[{name: variance, min_variance: 0}]",
)
LDA = """\
name: lda
estimator: {_target_: sklearn.discriminant_analysis.LinearDiscriminantAnalysis}
grid: {}
imbalance: none
"""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def composite(command: Any, tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a composite model's run; to be read only."""
    run = tmp_path_factory.mktemp("composite") / "run"
    command("train.py", "model=composite", *tiny, *SMALL, f"hydra.run.dir={run}").succeeded()
    return run


def test_a_composite_model_leaves_a_run_folder_like_any_other(composite: Path) -> None:
    metrics = json.loads((composite / "metrics.json").read_text())
    assert metrics["test"]["auc"]["n"] == 11
    assert set(metrics["branches"]) == {"radiomics", "deep"}
    looked_at = json.loads((composite / "manifest.json").read_text())["features_looked_at"]["fold_0"]
    assert looked_at["radiomics"] > 700
    assert looked_at["deep"] > 10
    assert looked_at["clinical"] > 10
    stages = {row["stage"] for row in rows_of(composite / "lasso_cv.csv")}
    assert stages == {"radiomics", "deep", "final"}
    assert {row["part"] for row in rows_of(composite / "predictions.csv")} == {"train", "test"}
    # Every training patient is predicted by a model that has not seen it.
    assert len(rows_of(composite / "predictions_inner.csv")) == 25
    page = (composite / "report.html").read_text()
    assert "What the model was made of" in page


def test_its_folder_is_all_that_prediction_needs(
    command: Any, tiny: tuple[str, ...], composite: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command("predict.py", f"run={composite}", "cohort=phantom", tiny[0], f"hydra.run.dir={out}").succeeded()
    expected = {row["patient_id"]: float(row["prob_malignant"]) for row in rows_of(composite / "predictions.csv")}
    given = {row["patient_id"]: float(row["prob_malignant"]) for row in rows_of(out / "predictions.csv")}
    assert given == pytest.approx(expected, abs=1e-6)


def test_a_classifier_is_one_file_and_a_sweep_compares_it(command: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "mine/classifier").mkdir(parents=True)
    (tmp_path / "mine/classifier/lda.yaml").write_text(LDA)
    sweep = ("-m", "model=clinical", "classifier=lda,lr", "sweep.test=all", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    lean = ("split.n_inner_folds=3", "report=false")
    command("train.py", "--config-dir", tmp_path / "mine", *sweep, *tiny, *lean).succeeded()
    comparison = json.loads((tmp_path / "sweep/comparison/comparison.json").read_text())
    assert {model["name"] for model in comparison["models"]} == {"lda", "lr"}
    assert comparison["best_by_inner"] in {"lda", "lr"}
    (run,) = (tmp_path / "sweep").glob("*classifier=lda*")
    out = tmp_path / "out"
    command("predict.py", f"run='{run}'", "cohort=phantom", tiny[0], f"hydra.run.dir={out}").succeeded()
    assert len(rows_of(out / "predictions.csv")) == 36


def test_what_cannot_be_fitted_is_told_before_any_work(command: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    run = tmp_path / "run"
    wrong = ("selection.lambda=max", "split.n_inner_folds=1", "selection.filters=[{name: magic}]")
    ended = command("train.py", "model=composite", *tiny, *wrong, f"hydra.run.dir={run}")
    assert ended.status == 1
    for told in ("selection.lambda", "split.n_inner_folds", "selection.filters[0]"):
        assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (run / "split.csv").exists()


def test_of_several_backbones_the_better_by_inner_auc_is_kept(
    command: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    import torch

    names = ("test_efficientnet", "test_resnet")
    grid = f"+split.grid=[{{backbone.name: [{', '.join(names)}]}}]"
    lean = ("split.n_inner_folds=2", "report=false")
    command("train.py", "model=deep", *tiny, *SMALL, *lean, grid, f"hydra.run.dir={tmp_path / 'run'}").succeeded()
    aucs: dict[str, list[float]] = {}
    for row in rows_of(tmp_path / "run/tuning.csv"):
        aucs.setdefault(row["backbone.name"], []).append(float(row["auc"]))
    assert {name: len(values) for name, values in aucs.items()} == dict.fromkeys(names, 2)
    # Of equally good ones the first.
    better = max(names, key=lambda name: sum(aucs[name]))
    assert json.loads((tmp_path / "run/fold_0/fold.json").read_text())["setting"] == {"backbone.name": better}
    checkpoint = torch.load(tmp_path / "run/fold_0/model.ckpt", weights_only=True)
    embedder = checkpoint["entries"]["deep"]["block"]["embedder"]
    assert embedder["settings"]["backbone"]["name"] == better
