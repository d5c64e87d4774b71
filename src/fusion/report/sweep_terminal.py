"""A sweep on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_MOST_RUNS = 15
# More have no room beside each other.
_MOST_COLUMNS = 5


def print_sweep(sweep: Mapping[str, Any], *, written: Path) -> None:
    """Print the runs in the order of their inner scores, which one is chosen, and what warns of it.

    Args:
        sweep: The content of sweep.json.
        written: Path of the page, named below.
    """
    from rich.console import Console
    from rich.markup import escape

    from fusion.report.sweep_words import findings, inner_note, run_name, warnings

    names = {run["folder"]: run_name(run, sweep["swept"]) for run in sweep["runs"]}
    console = Console()
    console.print()
    console.print(_table(sweep, names))
    for sentence in filter(None, (inner_note(sweep), *findings(sweep, names))):
        console.print(escape(sentence), soft_wrap=True)
    for sentence in warnings(sweep):
        console.print(f"[bold yellow]warning:[/bold yellow] {escape(sentence)}", soft_wrap=True)
    console.print(f"written: {escape(str(written))}", soft_wrap=True)


def _table(sweep: Mapping[str, Any], names: Mapping[str, str]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    runs, swept = sweep["runs"], sweep["swept"]
    shown = runs[:_MOST_RUNS]
    columns = swept if 0 < len(swept) <= _MOST_COLUMNS else []
    table = Table(title=f"{len(runs)} runs by inner AUC")
    table.add_column("", justify="right", no_wrap=True)
    for head in columns or ["run"]:
        table.add_column(escape(head), overflow="fold")
    for head in ("inner AUC", "seconds"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    if len(runs) > len(shown):
        table.caption = f"and {len(runs) - len(shown)} more, on the page"
    for run in shown:
        table.add_row(
            "" if run["rank"] is None else str(run["rank"]),
            *(escape(run["values"].get(key, "–")) for key in columns),
            *([] if columns else [escape(names[run["folder"]])]),
            "–" if run["inner"] is None else f"{run['inner']['auc']:.3f}{'*' * (run['rank'] is None)}",
            "–" if run["seconds"] is None else f"{run['seconds']:.0f}",
            "[bold]chosen[/bold]" if run["folder"] == sweep["chosen"] else escape(run["state"]),
        )
    return table
