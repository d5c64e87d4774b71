"""The figures of a run, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SHOWN = {
    "auc": "AUC",
    "auc_fold_mean": "AUC, mean over folds",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "brier": "Brier score (lower is better)",
}


def print_notes(notes: Sequence[str]) -> None:
    """Print what the reader of the figures has to know first."""
    from rich.console import Console
    from rich.markup import escape

    for note in notes:
        Console().print(f"[yellow]note:[/yellow] {escape(note)}", soft_wrap=True)


def print_summary(metrics: Mapping[str, Any], *, title: str, written: Path) -> None:
    """Print the test figures with their intervals, and each branch alone.

    Args:
        metrics: As in ``metrics.json``.
        title: Of the table.
        written: Path of what was written, named below it.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    test = metrics.get("test", {})
    rows = [(label, test[name]) for name, label in _SHOWN.items() if name in test]
    rows += [
        (f"AUC of the {name} branch alone", figures["auc"])
        for name, figures in metrics.get("branches", {}).items()
        if figures
    ]
    table = Table(title=escape(f"{title}: test patients"))
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    table.add_column("patients", justify="right")
    for label, figure in rows:
        table.add_row(label, _number(figure["value"]), _interval(figure), str(figure["n"]))
    console = Console()
    console.print()
    console.print(table)
    console.print(f"written: {escape(str(written))}", soft_wrap=True)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _interval(figure: Mapping[str, Any]) -> str:
    return "" if figure["ci_low"] is None else f"{figure['ci_low']:.3f} to {figure['ci_high']:.3f}"
