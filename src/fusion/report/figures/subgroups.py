"""AUC by the values of the clinical columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fusion.report.figures.forest import N_NOTE, Row, draw_forest, forest_table
from fusion.report.figures.style import Plan, auc_interval_text, percent_text
from fusion.report.run_folder import FinishedRun

_N_ROWS = 44  # fill a printed page


def plan_subgroups(run: FinishedRun) -> list[Plan]:
    """The forest plot of the subgroups, in as many figures as they need; none where metrics.json has no subgroups."""
    subgroups = run.metrics.get("subgroups")
    if not subgroups:
        return []
    names = run.test.label_names
    heads = ("Subgroup", f"n ({names[1]})" if len(names) == 2 else "n", f"AUC ({percent_text(run.level)} interval)")
    test = run.metrics["test"]
    caption = (
        "The AUC among the test patients of each subgroup alone, with its interval "
        f"({auc_interval_text(is_binary=run.is_binary)}). Intervals "
        "that lie wholly apart deserve a question; but among many subgroups some differ by chance, and none was tested "
        "here. Numbers are cut into groups of about the same size. Where a subgroup is too small, no figure is given. "
        "[TRIPOD+AI: Collins et al., BMJ 2024;385:e078378]"
    )
    plans = []
    for number, rows in enumerate(_pages(subgroups, is_binary=run.is_binary), start=1):
        all_patients = Row("All test patients", _all(test), test["auc"], "total")
        drawn = [all_patients, *rows]
        figure = draw_forest(drawn, heads=heads, xlabel="AUC (dashed: chance)", reference=0.5)
        title = "AUC by subgroup" if number == 1 else "AUC by subgroup, continued"
        name = "subgroups" if number == 1 else f"subgroups_{number}"
        table = forest_table(drawn, heads=heads)
        plans.append(Plan(name, title, caption if number == 1 else "", figure, table))
    return plans


def _pages(subgroups: Mapping[str, Sequence[Mapping[str, Any]]], *, is_binary: bool) -> Iterator[list[Row]]:
    """A column's levels stay together."""
    page: list[Row] = []
    for name, levels in subgroups.items():
        rows = list(_rows(name, levels, is_binary=is_binary))
        if page and len(page) + len(rows) > _N_ROWS:
            yield page
            page = []
        page += rows
    yield page


def _rows(name: str, levels: Sequence[Mapping[str, Any]], *, is_binary: bool) -> Iterator[Row]:
    yield Row(name, "", None, "heading")
    for level in levels:
        n = f"{level['n']} ({level['n_positive']})" if is_binary else f"{level['n']}"
        auc = level["figures"]["auc"] if level["figures"] else None
        yield Row(str(level["level"]), n, auc, note=_note(level), is_inset=True)


def _note(level: Mapping[str, Any]) -> str:
    """Why there is no figure, in as many words as fit."""
    note = str(level["note"] or "")
    shorter = (note, note.partition(" (required")[0], f"too few ({level['n']} patients)")
    return next((text for text in shorter if len(text) <= N_NOTE), shorter[-1])


def _all(test: Mapping[str, Any]) -> str:
    return f"{test['auc']['n']}" + (f" ({test['sensitivity']['n']})" if "sensitivity" in test else "")
