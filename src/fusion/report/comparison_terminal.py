"""A comparison on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from fusion.report.comparison_pairs import Selection

_N_INPUTS, _MOST_PAIRS = 5, 15
_FIGURES = {"sensitivity": "sens.", "specificity": "spec.", "accuracy": "acc."}
# Beside a published column there is room for these in 80 characters.
_FIGURES_BESIDE = {"accuracy": "acc."}


def print_comparison(comparison: Mapping[str, Any], *, written: Path) -> None:
    """Print the models and their differences, what was found, what warns of it, and what was not computed.

    Args:
        comparison: The content of comparison.json.
        written: Path of the page, named below.
    """
    from rich.console import Console
    from rich.markup import escape

    from fusion.report.comparison_notes import inner_note, not_ranked_note, published_note
    from fusion.report.comparison_words import findings, warnings

    console = Console()
    console.print()
    console.print(_models(comparison))
    asterisk = f"* {note}" if (note := not_ranked_note(comparison)) else None
    for note in filter(None, (inner_note(comparison), asterisk, published_note(comparison))):
        console.print(escape(note), soft_wrap=True)
    console.print(_differences(comparison))
    for sentence in findings(comparison):
        console.print(escape(sentence), soft_wrap=True)
    for sentence in warnings(comparison):
        console.print(f"[bold yellow]warning:[/bold yellow] {escape(sentence)}", soft_wrap=True)
    if "reclassification_warning" in comparison:
        console.print(f"[bold yellow]warning:[/bold yellow] {comparison['reclassification_warning']}", soft_wrap=True)
    for skip in comparison["skipped"]:
        console.print(f"[yellow]not computed:[/yellow] {escape(skip['what'])}: {escape(skip['why'])}", soft_wrap=True)
    if comparison["inputs"] is not None:
        console.print(escape(_inputs(comparison["inputs"])), soft_wrap=True)
    console.print(f"written: {escape(str(written))}", soft_wrap=True)


def _models(comparison: Mapping[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    has_published = any(model["published"] for model in comparison["models"])
    heads = _FIGURES_BESIDE if has_published else _FIGURES
    shown = [name for name in heads if name in comparison["models"][0]["figures"]]
    table = Table(title=f"{len(comparison['models'])} models, {comparison['n_patients']} test patients")
    table.add_column("model", overflow="fold")
    last = ["published"] if has_published else []
    for head in ("inner", "AUC", "interval", *(heads[name] for name in shown), *last):
        table.add_column(head, justify="right", no_wrap=True)
    not_ranked = {of["model"] for of in comparison["not_ranked_by_inner"]}
    for model in comparison["models"]:
        figures, inner, published = model["figures"], model["inner"], model["published"]
        is_best = model["name"] == comparison["best_by_inner"]
        mark = " [bold](primary)[/bold]" if model["is_primary"] else ""
        mark += " [bold](best by inner AUC)[/bold]" if is_best else ""
        asterisk = "*" * (model["name"] in not_ranked)
        cells = [
            f"{inner['auc']:.3f}{asterisk}" if inner else f"–{asterisk}",
            _value(figures["auc"]),
            _interval(figures["auc"]),
        ]
        cells += [_value(figures[name]) for name in shown]
        cells += [f"{published['value']:.3f}" if published else "–"] if has_published else []
        table.add_row(f"{escape(model['name'])}{mark}", *cells)
    return table


def _differences(comparison: Mapping[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from fusion.report.comparison_pairs import shown_pairs
    from fusion.report.comparison_words import short_p

    selection, calls = shown_pairs(comparison, most=_MOST_PAIRS), comparison["comparisons"][0]["calls"]
    table = Table(title=escape(_title(comparison["primary"], selection)))
    table.add_column("model", overflow="fold")
    for head in ("AUC", "interval", "p", "Brier", *(("p of calls",) if calls else ())):
        table.add_column(head, justify="right", no_wrap=True)
    table.caption = "p of the trained models, after Holm’s correction" + (
        "; of calls by McNemar’s exact test" if calls else ""
    )
    for pair in selection.pairs:
        name = pair.model if selection.reference else f"{pair.model} minus {pair.reference}"
        cells = [_value(pair.auc), _interval(pair.auc), short_p(pair.p), _value(pair.brier)]
        table.add_row(escape(name), *cells, *([short_p(pair.p_of_calls)] if calls else []))
    return table


def _title(primary: str | None, selection: Selection) -> str:
    if primary is not None:
        return f"Difference from {primary}, the primary model"
    if selection.reference is None:
        return "Differences of all pairs"
    return f"Difference from {selection.reference}, the best by inner AUC; the page has all {selection.n_all} pairs"


def _inputs(inputs: Mapping[str, Any]) -> str:
    from fusion.report.comparison_notes import input_unit

    if "absent" in inputs:
        return f"strongest inputs of {inputs['model']}: none to show. {inputs['absent']}"
    strongest = ", ".join(f"{of['name']} {of['strength']:.3g}" for of in inputs["ranking"][:_N_INPUTS])
    n_empty = inputs["n_folds_without_input"]
    without = f"; {n_empty} further {'fold' if n_empty == 1 else 'folds'} without input" if n_empty else ""
    return f"strongest inputs of {inputs['model']}: {strongest}. {input_unit(inputs)}{without}; the page has more."


def _value(figure: Mapping[str, Any]) -> str:
    return "–" if figure["value"] is None else f"{figure['value']:.3f}"


def _interval(figure: Mapping[str, Any]) -> str:
    return "" if figure["ci_low"] is None else f"{figure['ci_low']:.3f} to {figure['ci_high']:.3f}"
