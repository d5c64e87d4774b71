"""What came of a run as a whole, told to its trackers once it is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from fusion.comparison.inner import inner_auc
from fusion.evaluation.evaluate import of_part
from fusion.evaluation.pooling import pool_cases
from fusion.runs.folder import INNER, RunFolder
from fusion.runs.tables import read_predictions
from fusion.tracking.hidden_report import hidden_report
from fusion.tracking.tracked import EVALUATION, Tracked
from fusion.tracking.tracker import Tracker
from fusion.tracking.trackers import open_trackers
from fusion.tracking.wandb_run import wandb_dir


def track_run(run: RunFolder, *, config: Mapping[str, Any], metrics: Mapping[str, Any], sweep: str | None) -> None:
    """Log the inner score of the whole run under the name ``inner_auc``; test figures and the report on request.

    Args:
        run: With all its tables joined; with its report where one is written.
        config: The resolved configuration.
        metrics: As in ``metrics.json``.
        sweep: Name of the sweep that the run belongs to; None where there is none.
    """
    tracked = Tracked(run_dir=run.path, part=EVALUATION, config=config, sweep=sweep)
    numbers = {"folds/finished": float(len(metrics["folds"]["finished"])), **_inner_auc(run, config)}
    with open_trackers(tracked) as trackers:
        for tracker in trackers:
            tested = _test_figures(metrics) if tracker.wishes.takes_test_figures else {}
            tracker.log_numbers(numbers | tested)
            if tracker.wishes.takes_report and (run.path / "report.html").is_file():
                with _report(run, tracker) as report:
                    tracker.log_file(report, name="report", kind="report")
    if config["logger"].get("wandb", {}).get("mode") == "offline":
        print(f"W&B has this run on this machine only; to send it: wandb sync {wandb_dir(run.path)}")


def _inner_auc(run: RunFolder, config: Mapping[str, Any]) -> dict[str, float]:
    inner = pool_cases(read_predictions(run.path / INNER, model=config["model"]["name"]))
    found = inner_auc(of_part(inner, "validation"), config, level=config["evaluation"]["level"])
    return {} if found is None else {"inner_auc": found.auc}


def _test_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Values of ``metrics.json`` by name, without intervals; what is not defined is left out."""
    figures = metrics.get("test", {})
    return {f"test/{name}": of["value"] for name, of in figures.items() if of["value"] is not None}


def _report(run: RunFolder, tracker: Tracker) -> AbstractContextManager[Path]:
    if tracker.wishes.plain_ids:
        return nullcontext(run.path / "report.html")
    return hidden_report(run.path, tracker.wishes.naming())
