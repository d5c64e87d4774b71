from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from wandb_file import read_wandb

from fusion.records import Predictions
from fusion.runs.folder import RunFolder
from fusion.runs.tables import write_predictions
from fusion.tracking.evaluation import track_run

METRICS = {
    "folds": {"finished": [0, 1], "planned": 2},
    "test": {"auc": {"value": 0.875, "ci_low": 0.5, "ci_high": 1.0, "n": 9}, "ece": {"value": None}},
}
Log = Callable[..., Any]


def inner(fold: int, scores: list[float]) -> Predictions:
    """Two images a patient, of whom every second one is malignant."""
    n_rows = 2 * len(scores)
    return Predictions(
        model="fusion",
        label_names=("benign", "malignant"),
        case_ids=tuple(f"case {row}" for row in range(n_rows)),
        patient_ids=tuple(f"patient {row // 2}" for row in range(n_rows)),
        centers=("A",) * n_rows,
        parts=("validation",) * n_rows,
        folds=(fold,) * n_rows,
        labels=tuple(("benign", "malignant")[row // 2 % 2] for row in range(n_rows)),
        probabilities=np.array([[1 - score, score] for score in scores for _ in range(2)]),
    )


@pytest.fixture
def log_run(tmp_path: Path, config: Callable[..., dict[str, Any]]) -> Log:
    """Logs an evaluated run with an inner AUC of 1 in one fold and of 0.5 in the other."""

    def run(logger: dict[str, Any], *, sweep: str | None = None) -> Path:
        changed = config({"evaluation": {"level": 0.95}, "logger": logger})
        folds = [inner(0, [0.1, 0.9, 0.2, 0.8]), inner(1, [0.5, 0.6, 0.7, 0.4])]
        write_predictions(tmp_path / "run/predictions_inner.csv", Predictions.concatenate(folds))
        track_run(RunFolder(tmp_path / "run"), config=changed, metrics=METRICS, sweep=sweep)
        return tmp_path / "run"

    return run


def test_the_inner_score_of_all_folds_is_logged_and_test_figures_are_not(
    logger: Log, log_run: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = log_run(logger("wandb"), sweep="phantom-sweep")
    run = read_wandb(run_dir)["evaluation"]
    assert (run.group, run.exit_code) == ("phantom-sweep", 0)
    assert {name: run.summary[name] for name in ("inner_auc", "folds/finished")} == {
        "inner_auc": 0.625,
        "folds/finished": 2,
    }
    assert not [name for name in run.summary if name.startswith("test/")]
    assert capsys.readouterr().out.splitlines() == [
        f"W&B has this run on this machine only; to send it: wandb sync {run_dir / 'wandb'}"
    ]


def test_test_figures_are_logged_on_request(logger: Log, log_run: Log, capsys: pytest.CaptureFixture[str]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    run_dir = log_run(logger("tensorboard", tensorboard__test_figures=True))
    scalars = {}
    for path in (run_dir / "tensorboard").iterdir():
        if path.is_file():
            events = EventAccumulator(str(path)).Reload()
            scalars |= {name: events.Scalars(name)[-1].value for name in events.Tags()["scalars"]}
    assert scalars["inner_auc"] == 0.625
    assert scalars["test/auc"] == 0.875
    # What is not defined is no number.
    assert "test/ece" not in scalars
    assert not capsys.readouterr().out


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a program that `wandb agent` starts."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"wandb_version": 1, "l1": {"value": 0.125}}))
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep123")
    monkeypatch.setenv("WANDB_RUN_ID", "agents01")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(values))
    monkeypatch.setenv("WANDB_PROJECT", "agents-project")


# W&B leaves the agent's file to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file .*values.yaml:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("agent")
def test_under_an_agent_the_evaluation_is_the_agents_run_and_a_fold_is_not(
    data: Any, logger: Log, log_run: Log, log_fold: Log
) -> None:
    log_fold(data, logger("wandb"), trainer__max_epochs=1)
    run_dir = log_run(logger("wandb"))
    runs = read_wandb(run_dir)
    evaluation, fold = runs["evaluation"], runs["fold_0"]
    assert (evaluation.run_id, evaluation.sweep_id) == ("agents01", "sweep123")
    assert evaluation.summary["inner_auc"] == 0.625
    assert evaluation.config["l1"] == 0.125, "what the agent asked for"
    assert fold.run_id != "agents01"
    assert not fold.sweep_id
    assert {run.group for run in runs.values()} == {"sweep123"}
    assert {run.project for run in runs.values()} == {"agents-project"}
