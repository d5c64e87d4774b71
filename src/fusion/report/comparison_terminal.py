"""A comparison on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_FIGURES = {"brier": "Brier", "sensitivity": "sens.", "specificity": "spec.", "accuracy": "acc."}


def print_comparison(comparison: Mapping[str, Any], *, written: Path) -> None:
    """Print the models and their differences, what was found, what warns of it, and what was not computed.

    Args:
        comparison: The content of comparison.json.
        written: Path of the page, named below.
    """
    from rich.console import Console
    from rich.markup import escape

    from fusion.report.comparison_words import findings, warnings

    console = Console()
    console.print()
    console.print(_models(comparison))
    console.print(_differences(comparison))
    for sentence in findings(comparison):
        console.print(escape(sentence), soft_wrap=True)
    for sentence in warnings(comparison):
        console.print(f"[bold yellow]warning:[/bold yellow] {escape(sentence)}", soft_wrap=True)
    if "reclassification_warning" in comparison:
        console.print(f"[bold yellow]warning:[/bold yellow] {comparison['reclassification_warning']}", soft_wrap=True)
    for skip in comparison["skipped"]:
        console.print(f"[yellow]not computed:[/yellow] {escape(skip['what'])}: {escape(skip['why'])}", soft_wrap=True)
    console.print(f"written: {escape(str(written))}", soft_wrap=True)


def _models(comparison: Mapping[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    shown = [name for name in _FIGURES if name in comparison["models"][0]["figures"]]
    table = Table(title=f"{len(comparison['models'])} models, {comparison['n_patients']} test patients")
    table.add_column("model", overflow="fold")
    for head in ("AUC", "interval", *(_FIGURES[name] for name in shown)):
        table.add_column(head, justify="right", no_wrap=True)
    for model in comparison["models"]:
        mark = " [bold](primary)[/bold]" if model["is_primary"] else ""
        figures = model["figures"]
        cells = [_value(figures["auc"]), _interval(figures["auc"]), *(_value(figures[name]) for name in shown)]
        table.add_row(f"{escape(model['name'])}{mark}", *cells)
    return table


def _differences(comparison: Mapping[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from fusion.report.comparison_words import auc_test, short_p

    primary, calls = comparison["primary"], comparison["comparisons"][0]["calls"]
    table = Table(
        title=escape(f"Difference from {primary}, the primary model" if primary else "Differences of all pairs")
    )
    table.add_column("model", overflow="fold")
    for head in ("AUC", "interval", "p", "Brier", *(("p of calls",) if calls else ())):
        table.add_column(head, justify="right", no_wrap=True)
    table.caption = "p of the trained models, after Holm’s correction" + (
        "; of calls by McNemar’s exact test" if calls else ""
    )
    undefined: Mapping[str, Any] = {"difference": {"value": None, "ci_low": None, "ci_high": None}, "p_holm": None}
    for pair in comparison["comparisons"]:
        name = pair["model"] if primary else f"{pair['model']} minus {pair['reference']}"
        test = auc_test(pair) if pair["auc"] else undefined
        cells = [_value(test["difference"]), _interval(test["difference"]), short_p(test["p_holm"])]
        cells += [_value(pair["brier"]), *([short_p(pair["calls"]["accuracy"]["p_holm"])] if calls else [])]
        table.add_row(escape(name), *cells)
    return table


def _value(figure: Mapping[str, Any]) -> str:
    return "–" if figure["value"] is None else f"{figure['value']:.3f}"


def _interval(figure: Mapping[str, Any]) -> str:
    return "" if figure["ci_low"] is None else f"{figure['ci_low']:.3f} to {figure['ci_high']:.3f}"
