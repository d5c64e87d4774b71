"""AUC against the number of training patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from fusion.report.figures.style import (
    BLUE,
    COLUMN_IN,
    Plan,
    auc_interval_text,
    column,
    estimate_table,
    percent_text,
    style,
)
from fusion.report.run_folder import FinishedRun


def plan_learning(run: FinishedRun) -> Plan | None:
    """The learning curve, up to the run's own models; None where none was asked for."""
    points = run.metrics.get("learning_curve")
    if not points:
        return None
    trained = sum(part != "test" for part in run.patients.parts) / run.n_folds
    # The tuning saw patients that a smaller share does not have.
    tuned = (
        "The settings of every point were chosen with all training patients, which is too good for the smaller shares. "
        if any(run.chosen.values())
        else ""
    )
    caption = (
        "Test AUC of models fitted on a share of the training patients, the last point on all of them; the higher, the "
        "better. A curve that still rises at its end asks for more patients, one that has become flat for other "
        f"inputs. Bars: {percent_text(run.level)} intervals ({auc_interval_text(is_binary=run.is_binary)}), on the "
        "same test patients throughout, so that they say little of the differences between points. "
        f"{tuned}"
        "[Figueroa et al., BMC Med Inform Decis Mak 2012;12:8]"
    )
    drawn = [*points, {"n_train": trained, "auc": run.metrics["test"]["auc"]}]
    table = estimate_table([point["auc"] for point in drawn], n_train=[point["n_train"] for point in drawn])
    title = "Would more patients help? Learning curve"
    return Plan("learning", title, caption, draw_learning(drawn), table.sort_values("n_train"))


def draw_learning(points: Sequence[Mapping[str, Any]]) -> Figure:
    """The AUC with its interval over training patients.

    Args:
        points: With ``n_train`` and the estimate ``auc``.
    """
    ordered = sorted(points, key=lambda point: point["n_train"])
    x, estimates = [point["n_train"] for point in ordered], [point["auc"] for point in ordered]
    low, high = column(estimates, "ci_low"), column(estimates, "ci_high")
    with style():
        figure = Figure(figsize=(COLUMN_IN, 2.9))
        axes = figure.subplots()
        axes.vlines(x, low, high, color=BLUE, linewidth=0.9)
        axes.plot(x, column(estimates, "value"), "o-", color=BLUE, markersize=4, linewidth=1.4)
        axes.set(xlim=(0, 1.06 * max(x)), xlabel="Training patients", ylabel="AUC, test patients")
        return figure
