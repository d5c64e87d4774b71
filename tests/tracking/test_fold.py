import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from number_cohort import complete
from wandb_file import read_wandb

from fusion.evaluation.discrimination import delong
from fusion.runs.tables import read_rows
from fusion.tracking.mlflow_run import store_uri

EVERY = ("wandb", "tensorboard", "mlflow")
Log = Callable[..., Any]


def columns(fold_dir: Path) -> dict[str, list[float]]:
    """Values of ``metrics.csv`` by name, in the order of the epochs."""
    with (fold_dir / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


def figures(fold_dir: Path) -> dict[str, list[float]]:
    """Those of epochs."""
    return {name: values for name, values in columns(fold_dir).items() if name not in ("epoch", "step")}


@pytest.fixture
def runs_of_mlflow(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[Any]]:
    """The runs of a run folder's own store that were not deleted, and a client for them."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")

    def read(run_dir: Path) -> list[Any]:
        from mlflow import MlflowClient

        client = MlflowClient(store_uri(run_dir))
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return [(client, run) for run in client.search_runs(experiments)]

    return read


def test_the_table_has_every_figure_of_every_epoch(data: Any, logger: Log, log_fold: Log) -> None:
    logged = log_fold(data, logger("csv"), trainer__max_epochs=3)
    branches = ("image", "radiomics", "clinical")
    names = [
        *("train/loss", "validation/loss", "validation/auc", "radiomics/features", "throughput/images_per_s"),
        *(
            f"{figure}_{branch}"
            for figure in ("train/loss", "validation/loss", "validation/auc")
            for branch in branches
        ),
        *(f"gate/{branch}" for branch in branches),
        *(f"lr/{part}" for part in ("backbone", "gates", "rest")),
    ]
    found = figures(logged.fold_dir)
    assert sorted(found) == sorted(names)
    assert all(len(values) == 3 for values in found.values())
    assert np.sum([found[f"gate/{branch}"] for branch in branches], axis=0) == pytest.approx([1, 1, 1])
    assert min(found["throughput/images_per_s"]) > 0
    rates = logged.config["optimizer"]
    ratios = np.divide(found["lr/gates"], found["lr/backbone"])
    assert ratios == pytest.approx([rates["lr_gates"] / rates["lr_backbone"]] * 3)
    assert found["lr/rest"][-1] < found["lr/rest"][1] < rates["lr"]


def test_figures_of_branches_are_those_of_the_fitted_model(data: Any, logger: Log, log_fold: Log) -> None:
    # The last epoch is the best one, so that its figures are the model's.
    logged = log_fold(data, logger("csv"), trainer__max_epochs=1)
    found, fit = figures(logged.fold_dir), logged.tuned.fit
    rows = [row for row, part in enumerate(fit.predictions.parts) if part == "validation"]
    labels = np.array([fit.predictions.labels[row] == "malignant" for row in rows], dtype=np.int64)
    gates, opinions = fit.scores.gates[rows], fit.scores.opinions[rows]
    for i, branch in enumerate(("image", "radiomics", "clinical")):
        known = ~np.isnan(opinions[:, i, 0])
        expected = delong(labels[known], opinions[known, i, 1], level=0.95).value
        assert found[f"validation/auc_{branch}"] == pytest.approx([expected])
        assert found[f"gate/{branch}"] == pytest.approx([gates[:, i].mean()], abs=1e-5)


def test_every_tracker_has_what_the_tables_have(
    data: Any, logger: Log, log_fold: Log, runs_of_mlflow: Callable[[Path], list[Any]]
) -> None:
    environment = dict(os.environ)
    logged = log_fold(data, logger(*EVERY, wandb__log_checkpoint=True, mlflow__log_checkpoint=True))
    assert {**os.environ} == environment
    expected = figures(logged.fold_dir)
    of_wandb(logged, expected)
    of_tensorboard(logged, expected)
    ((client, run),) = runs_of_mlflow(logged.run_dir)
    of_mlflow(client, run, logged, expected)

    ids = {name for case in data.cohort.cases for name in (case.case_id, case.patient_id)}
    names = {name.encode() for name in ids}
    written = [*logged.run_dir.glob("wandb/**/*"), *logged.run_dir.glob("mlruns/**/*")]
    written += list(logged.fold_dir.glob("tensorboard/*"))
    files = [path for path in written if path.is_file()]
    assert len(files) > 50
    assert not [path for path in files if any(name in path.read_bytes() for name in names)]


def of_wandb(logged: Any, expected: dict[str, list[float]]) -> None:
    runs = read_wandb(logged.run_dir)
    assert set(runs) == {"fold_0"}
    run = runs["fold_0"]
    assert (run.group, run.name, run.project) == ("numbers-run", "numbers-run-fold_0", "fusion")
    assert run.exit_code == 0
    for name, values in expected.items():
        assert run.column(name) == pytest.approx(values, rel=1e-6), name
    assert {name: run.config[name] for name in ("l1", "optimizer", "trainer")} == {
        name: logged.config[name] for name in ("l1", "optimizer", "trainer")
    }
    assert run.config["chosen"]["thresholds"] == logged.tuned.fit.model.thresholds
    assert run.summary["features/looked_at_radiomics"] == 6
    assert run.summary["features/radiomics_kept"] == logged.tuned.fit.model.facts()["radiomics_features"]
    assert "model" in run.artifacts.values()
    for name in ("roc", "calibration", "confusion"):
        (picture,) = run.column(f"fold/{name}")
        assert (run.folder / "files" / picture["path"]).is_file()
    of_predictions(logged, run.table("predictions"))


def of_predictions(logged: Any, table: list[dict[str, Any]]) -> None:
    """The rows of the inner predictions and of the test part, with other ids, one for each of them."""
    header, inner = read_rows(logged.fold_dir / "predictions_inner.csv")
    _, every = read_rows(logged.fold_dir / "predictions_cases.csv")
    expected = [dict(zip(header, row, strict=True)) for row in [*inner, *every]]
    expected = expected[: len(inner)] + [row for row in expected[len(inner) :] if row["part"] == "test"]
    assert len(table) == len(expected) > 10
    for name in ("center", "part", "label"):
        assert [row[name] for row in table] == [row[name] for row in expected]
    probabilities = [float(row["prob_malignant"]) for row in expected]
    assert [row["prob_malignant"] for row in table] == pytest.approx(probabilities)
    for name in ("patient_id", "case_id"):
        pairs = {(row[name], of[name]) for row, of in zip(table, expected, strict=True)}
        assert len(pairs) == len({new for new, _ in pairs}) == len({old for _, old in pairs})
        assert not {new for new, _ in pairs} & {old for _, old in pairs}


def of_tensorboard(logged: Any, expected: dict[str, list[float]]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    events = EventAccumulator(str(logged.fold_dir / "tensorboard")).Reload()
    for name, values in expected.items():
        assert [event.value for event in events.Scalars(name)] == pytest.approx(values, rel=1e-5), name
    assert {"fold/roc", "fold/calibration", "fold/confusion"} <= set(events.Tags()["images"])
    assert {"config/text_summary", "predictions/text_summary"} <= set(events.Tags()["tensors"])


def of_mlflow(client: Any, run: Any, logged: Any, expected: dict[str, list[float]]) -> None:
    assert run.info.status == "FINISHED"
    assert (run.data.tags["group"], run.data.tags["job_type"]) == ("numbers-run", "fold_0")
    for name, values in expected.items():
        assert [each.value for each in client.get_metric_history(run.info.run_id, name)] == pytest.approx(values), name
    assert run.data.params["trainer/batch_size"] == "8"
    artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"config.yaml", "chosen.yaml", "predictions.csv", "model", "fold"} <= artifacts


def test_training_is_the_same_bit_by_bit_with_and_without_trackers(data: Any, logger: Log, log_fold: Log) -> None:
    plain = data.fit()
    settings = {f"{name}__figures_every": 1 for name in EVERY}
    logged = log_fold(data, logger(*EVERY, **settings))
    weights, others = plain.network.state_dict(), logged.tuned.fit.model.network.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    # And pictures there were after each epoch.
    (run,) = read_wandb(logged.run_dir).values()
    assert [row["epoch"] for row in run.history if "validation/roc" in row] == [0, 1]


def test_a_fold_that_fails_leaves_no_run_open_and_done_again_it_is_one_run(
    data: Any, logger: Log, log_fold: Log, runs_of_mlflow: Callable[[Path], list[Any]], tmp_path: Path
) -> None:
    import wandb

    with pytest.raises(RuntimeError, match="the disk is full"):
        log_fold(data, logger(*EVERY), trainer__max_epochs=1, fail=True)
    run_dir = tmp_path / "run"
    failed = read_wandb(run_dir)["fold_0"]
    assert failed.exit_code == 1
    assert wandb.run is None
    ((_, run),) = runs_of_mlflow(run_dir)
    assert run.info.status == "FAILED"

    log_fold(data, logger(*EVERY), trainer__max_epochs=1)
    again = read_wandb(run_dir)["fold_0"]
    assert (again.run_id, again.exit_code) == (failed.run_id, 0)
    ((_, run),) = runs_of_mlflow(run_dir)
    assert run.info.status == "FINISHED"


def test_a_run_that_is_open_in_this_process_is_closed_and_not_written_into_and_ids_are_plain_on_request(
    data: Any, logger: Log, log_fold: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning would log into it."""
    import wandb

    # W&B would go on pointing at it in the tests that follow.
    monkeypatch.setattr(wandb, "run", wandb.run)
    quiet = wandb.Settings(silent=True, console="off")
    wandb.init(mode="offline", dir=tmp_path / "other", job_type="other", settings=quiet).log({"validation/loss": -1.0})
    log_fold(data, logger("wandb", wandb__plain_ids=True), trainer__max_epochs=1)
    other = read_wandb(tmp_path / "other")["other"]
    assert (other.column("validation/loss"), other.exit_code) == ([-1.0], 0)
    own = read_wandb(tmp_path / "run")["fold_0"]
    assert len(own.column("validation/loss")) == 1
    assert {row["patient_id"] for row in own.table("predictions") if row["part"] == "test"} == set(data.fold.test)
    assert not (tmp_path / "ids.key").exists()


def test_of_a_classical_model_settings_and_numbers_of_features_are_logged(
    data: Any, logger: Log, log_fold: Log
) -> None:
    model = {"name": "radiomics", "inputs": {"radiomics": "features"}, "select": True, "combine": "classifier"}
    grid = [{"classifier.estimator.C": [0.1, 1.0]}]
    split = {"name": "holdout", "validation_fraction": 0.2, "n_inner_folds": 2, "grid": grid}
    logged = log_fold(complete(data), logger("wandb"), model=model, split=split)
    (run,) = read_wandb(logged.run_dir).values()
    assert run.config["chosen"]["grid"] == {"classifier.estimator.C": 0.1}
    assert run.summary["features/looked_at_radiomics"] == 6
    assert 0 <= run.summary["features/radiomics_kept"] <= 6
    assert [row["classifier.estimator.C"] for row in run.table("tuning")] == [0.1, 0.1, 1.0, 1.0]
    assert not run.column("validation/loss")
    assert {row["part"] for row in run.table("predictions")} == {"validation", "test"}
