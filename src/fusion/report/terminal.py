"""The figures of a run, on one screen of the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion.report.metric_names import metric_name

_SHOWN = (
    "auc",
    "auc_fold_mean",
    "sensitivity",
    "specificity",
    "accuracy",
    "brier",
    "calibration_intercept",
    "calibration_slope",
)

Row = tuple[str, Mapping[str, Any]]


def print_notes(notes: Sequence[str]) -> None:
    """Print what the reader of the figures has to know first."""
    from rich.console import Console
    from rich.markup import escape

    for note in notes:
        Console().print(f"[yellow]note:[/yellow] {escape(note)}", soft_wrap=True)


def print_summary(metrics: Mapping[str, Any], *, title: str, written: Path) -> None:
    """Print the test figures with their intervals, the centers together, each branch alone, and what warns of them.

    Args:
        metrics: As in ``metrics.json``.
        title: Of the table.
        written: Path of what was written, named below it.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"{title}: test patients"))
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    table.add_column("patients", justify="right")
    for label, figure in (*_test(metrics), *_centers(metrics), *_branches(metrics)):
        table.add_row(escape(label), _number(figure), _interval(figure), str(figure["n"]))
    console = Console()
    console.print()
    console.print(table)
    for warning in _warnings(metrics):
        console.print(f"[bold yellow]warning:[/bold yellow] {escape(warning)}", soft_wrap=True)
    console.print(f"written: {escape(str(written))}", soft_wrap=True)


def _test(metrics: Mapping[str, Any]) -> Iterator[Row]:
    test = metrics.get("test", {})
    is_pooled = "auc_fold_mean" in test
    for name in _SHOWN:
        if name in test:
            yield metric_name(name, label_names=(), is_pooled=is_pooled, prevalence=None), test[name]


def _centers(metrics: Mapping[str, Any]) -> Iterator[Row]:
    between = (metrics.get("between_centers") or {}).get("auc")
    if between:
        yield f"AUC of {between['n_centers']} centers, random effects", between
        low, high = between["prediction_low"], between["prediction_high"]
        yield "AUC of a new center, prediction", {"ci_low": low, "ci_high": high, "n": ""}


def _branches(metrics: Mapping[str, Any]) -> Iterator[Row]:
    # A network's branches, or the scores of a classical model, which may have none.
    for name, figures in (metrics.get("branches") or {}).items():
        if figures:
            yield f"AUC of {name} alone", figures["auc"]


def _warnings(metrics: Mapping[str, Any]) -> Iterator[str]:
    folds = metrics.get("folds")
    if folds and len(folds["finished"]) < folds["planned"]:
        yield f"figures of {len(folds['finished'])} of {folds['planned']} folds; the run is not finished"
    warning = (metrics.get("sample_size") or {}).get("warning")
    if warning:
        yield warning


def _number(figure: Mapping[str, Any]) -> str:
    # A prediction interval has no value of its own.
    if "value" not in figure:
        return ""
    return "undefined" if figure["value"] is None else f"{figure['value']:.3f}"


def _interval(figure: Mapping[str, Any]) -> str:
    if figure["ci_low"] is None or figure["ci_high"] is None:
        return ""
    return f"{figure['ci_low']:.3f} to {figure['ci_high']:.3f}"
