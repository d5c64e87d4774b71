"""Usefulness: what the model would do among 1000 patients."""

from __future__ import annotations

from matplotlib.figure import Figure

from fusion.report.figures.decision import Table, draw_line, threshold_axes, threshold_table
from fusion.report.figures.style import BLUE, VERMILLION, Plan, percent_text, short_text, style
from fusion.report.run_folder import FinishedRun


def plan_impact(run: FinishedRun) -> Plan | None:
    """The clinical impact curve; None where metrics.json has no table of it."""
    table = run.metrics.get("curves", {}).get("impact")
    if not table:
        return None
    positive = run.test.label_names[-1]
    caption = (
        "Among 1000 patients such as these: how many the model would call high risk at each threshold, and how many of "
        f"them are {positive}. The nearer the two curves, the fewer false alarms; the lower one should fall late. "
        f"Shaded: {percent_text(run.level)} intervals (Wilson’s, by patient). "
        "[Kerr et al., J Clin Oncol 2016;34:2534]"
    )
    numbers = threshold_table(table, "high_risk", "true_positive")
    return Plan("impact", "Clinical impact among 1000 patients", caption, draw_impact(table, positive), numbers)


def draw_impact(table: Table, positive: str) -> Figure:
    """Patients called high risk and true positives among them, per 1000.

    Args:
        table: Rows of ``threshold`` and the estimates ``high_risk`` and ``true_positive``, in rising order.
        positive: Name of the positive label.
    """
    with style():
        figure, axes = threshold_axes(table, "Patients of 1000")
        draw_line(axes, table, "high_risk", BLUE, "called high risk")
        name = f"of these {short_text(positive, 26)}"
        draw_line(axes, table, "true_positive", VERMILLION, name, linestyle=(0, (6, 1.5)))
        axes.set_ylim(0, 1000)
        # Above the plot: where few patients are called high risk, or many, depends on the model.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, handlelength=1.8, borderaxespad=0.2)
        return figure
