"""Usefulness: the decision curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.report.figures.style import (
    BLUE,
    COLUMN_IN,
    DASHED,
    INK,
    MUTED,
    Estimate,
    Plan,
    column,
    estimate_table,
    percent_text,
    stacked,
    style,
)
from fusion.report.run_folder import FinishedRun

Table = Sequence[Mapping[str, Any]]


def plan_decision(run: FinishedRun) -> Plan | None:
    """The decision curve; None where metrics.json has no table of it."""
    table = run.metrics.get("curves", {}).get("decision")
    if not table:
        return None
    positive = run.test.label_names[-1]
    caption = (
        f"Net benefit: {positive} patients found, less the false alarms at the price that the threshold sets, per "
        "patient. The higher, the better: the model is of use where its curve lies above both treating everybody and "
        f"treating nobody. The plot is cut off a little below 0: treating everybody goes on falling. "
        f"Shaded: {percent_text(run.level)} intervals from a bootstrap of patients. "
        "[Vickers & Elkin, Med Decis Making 2006;26:565]"
    )
    numbers = threshold_table(table, "model", "treat_all")
    return Plan("decision", "Would it help? Decision curve", caption, draw_decision(table), numbers)


def draw_decision(table: Table) -> Figure:
    """Net benefit of the model, of treating everybody and of treating nobody.

    Args:
        table: Rows of ``threshold`` and the estimates ``model`` and ``treat_all``, in rising order.
    """
    with style():
        figure, axes = threshold_axes(table, "Net benefit")
        draw_line(axes, table, "model", BLUE, "model")
        draw_line(axes, table, "treat_all", MUTED, "treat all", linestyle=DASHED)
        axes.axhline(0, color=INK, linewidth=0.9, linestyle=(0, (1.2, 1)), label="treat none")
        values = np.concatenate([column([row[key] for row in table], "value") for key in ("model", "treat_all")])
        top = max(float(np.nanmax(values, initial=0)), 0.01)
        # Treating everybody falls without end; what matters is where it falls below nobody.
        axes.set_ylim(-0.25 * top, 1.2 * top)
        axes.legend(loc="upper right", handlelength=1.8, borderaxespad=0.2)
        return figure


def threshold_table(table: Table, *keys: str) -> pd.DataFrame:
    """A row per threshold of every line."""
    thresholds = [row["threshold"] for row in table]
    return stacked(**{key: estimate_table([row[key] for row in table], threshold=thresholds) for key in keys})


def threshold_axes(table: Table, ylabel: str) -> tuple[Figure, Axes]:
    """Axes over the thresholds of a table with a ``threshold`` column, in rising order."""
    figure = Figure(figsize=(COLUMN_IN, 2.9))
    axes = figure.subplots()
    axes.set(xlim=(table[0]["threshold"], table[-1]["threshold"]), xlabel="Threshold probability", ylabel=ylabel)
    return figure, axes


def draw_line(axes: Axes, table: Table, key: str, color: str, label: str, linestyle: Any = "solid") -> None:
    """A line over the thresholds with its interval as a band; a gap where it is undefined."""
    estimates: list[Estimate] = [row[key] for row in table]
    x: NDArray[np.float64] = np.array([row["threshold"] for row in table], dtype=np.float64)
    axes.fill_between(
        x, column(estimates, "ci_low"), column(estimates, "ci_high"), color=color, alpha=0.16, linewidth=0
    )
    axes.plot(x, column(estimates, "value"), color=color, linewidth=1.5, linestyle=linestyle, label=label)
