"""ROC curves: over all test patients, and by center."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.evaluation.discrimination import RocCurve, roc_curve
from fusion.report.figures.style import (
    COLORS,
    DASHED,
    INK,
    LINES,
    MUTED,
    PAPER,
    Estimate,
    Plan,
    interval_text,
    short_text,
    square,
    stacked,
    style,
)
from fusion.report.run_folder import FinishedRun

_N_NAME = 26  # a longer name would cover the curves


class Curve(NamedTuple):
    """An ROC curve with its name and the AUC that metrics.json gives it."""

    name: str
    curve: RocCurve
    auc: Estimate


class Curves(NamedTuple):
    """What is drawn.

    Attributes:
        curves: The first is drawn strongest.
        operating_point: Sensitivity and specificity at the frozen threshold, drawn with their intervals.
    """

    curves: Sequence[Curve]
    operating_point: tuple[Estimate, Estimate] | None = None


def plan_roc(run: FinishedRun) -> Plan:
    """The ROC curve of the test patients, of each label against the rest where there are more than two."""
    kind = (
        "The cross is the frozen threshold, with its intervals."
        if run.is_binary
        else "Each label has a curve against the rest; there is no frozen threshold."
    )
    caption = (
        "How many of the positive patients are found (up) at the price of how many false alarms (right): the nearer "
        f"the upper left corner, the better; the dashed line is chance. {kind} The AUC’s interval stands in the label, "
        "made by DeLong’s method on the logit scale, by patient "
        "[DeLong et al., Biometrics 1988;44:837]."
    )
    return _plan("roc", "ROC curve, test patients", caption, _roc(run))


def plan_roc_centers(run: FinishedRun) -> Plan:
    """The ROC curve of each center."""
    caption = (
        "The same for the test patients of each center alone"
        f"{_largest(run)}. A curve that lies apart is a center where the model works differently."
    )
    return _plan("roc_centers", "ROC curve by center", caption, _roc_centers(run))


def draw_roc(drawn: Curves) -> Figure:
    """ROC curves; the interval of each AUC stands in its label."""
    with style():
        figure, axes = square("1 − specificity", "Sensitivity")
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=DASHED)
        for k, (name, curve, auc) in enumerate(drawn.curves):
            axes.plot(
                curve.false_positive_rate,
                curve.true_positive_rate,
                color=COLORS[k % len(COLORS)],
                linestyle=LINES[k % len(LINES)],
                linewidth=1.6 if k == 0 else 1.1,
                label=f"{name}: {interval_text(auc)}",
            )
        if drawn.operating_point is not None:
            _operating_point(axes, *drawn.operating_point)
        # The lower right corner is where a curve better than chance never goes.
        axes.legend(
            loc="lower right",
            fontsize=6.5 if len(drawn.curves) < 4 else 6,
            handlelength=1.2 if len(drawn.curves) < 2 else 2.4,
            borderaxespad=0.1,
            frameon=True,
            facecolor=PAPER,
            edgecolor="none",
            framealpha=1,
        )
        return figure


def roc_table(drawn: Curves) -> pd.DataFrame:
    """A row per corner of a curve, and one of the operating point."""
    corners = pd.concat(
        [
            pd.DataFrame(
                {
                    "curve": name,
                    "false_positive_rate": curve.false_positive_rate,
                    "true_positive_rate": curve.true_positive_rate,
                    "auc": auc["value"],
                    "auc_ci_low": auc["ci_low"],
                    "auc_ci_high": auc["ci_high"],
                }
            )
            for name, curve, auc in drawn.curves
        ]
    )
    if drawn.operating_point is None:
        return stacked(curve=corners)
    sensitivity, specificity = drawn.operating_point
    point = {f"sensitivity_{key}": sensitivity[key] for key in ("value", "ci_low", "ci_high")}
    point |= {f"specificity_{key}": specificity[key] for key in ("value", "ci_low", "ci_high")}
    return stacked(curve=corners, frozen_threshold=pd.DataFrame([point]))


def _plan(name: str, title: str, caption: str, drawn: Curves | str) -> Plan:
    if isinstance(drawn, str):
        return Plan(name, title, caption, drawn)
    return Plan(name, title, caption, draw_roc(drawn), roc_table(drawn))


def _roc(run: FinishedRun) -> Curves | str:
    test = run.test
    if len(set(test.labels)) < len(test.label_names):
        return "The labeled test patients do not have all labels."
    metrics = run.metrics["test"]
    if len(test.label_names) == 2:
        curve = roc_curve(_is(test.labels, test.label_names[1]), test.probabilities[:, 1])
        name = "AUC, pooled" if run.n_folds > 1 else "AUC"
        return Curves([Curve(name, curve, metrics["auc"])], (metrics["sensitivity"], metrics["specificity"]))
    curves = [
        Curve(
            short_text(name, _N_NAME),
            roc_curve(_is(test.labels, name), test.probabilities[:, k]),
            metrics[f"auc_{name}"],
        )
        for k, name in enumerate(test.label_names)
    ]
    return Curves(curves)


def _roc_centers(run: FinishedRun) -> Curves | str:
    test = run.test
    if len(test.label_names) > 2:
        return "It needs an outcome of two labels; the table has the figures of each center."
    if len(set(test.centers)) < 2:
        return "The test patients come from one center."
    curves = []
    for center in _by_size(run):
        part = test.select(other == center for other in test.centers)
        if len(set(part.labels)) == 2:
            curve = roc_curve(_is(part.labels, part.label_names[1]), part.probabilities[:, 1])
            auc = run.metrics["centers"][center]["auc"]
            curves.append(Curve(f"{short_text(center, _N_NAME)} (n = {auc['n']})", curve, auc))
    if not curves:
        return "No center has test patients of both labels."
    # More curves than colors cannot be told apart; the forest plot and the table have every center.
    return Curves(curves[: len(COLORS)])


def _by_size(run: FinishedRun) -> list[str]:
    counts = Counter(center for center, _ in set(zip(run.test.centers, run.test.patient_ids, strict=True)))
    return sorted(counts, key=lambda center: (-counts[center], center))


def _largest(run: FinishedRun) -> str:
    n_centers = len(set(run.test.centers))
    return f", the {len(COLORS)} with the most patients of {n_centers}" if n_centers > len(COLORS) else ""


def _operating_point(axes: Axes, sensitivity: Estimate, specificity: Estimate) -> None:
    if sensitivity["value"] is None or specificity["value"] is None:
        return
    x, y = 1 - specificity["value"], sensitivity["value"]
    axes.plot([x, x], [sensitivity["ci_low"], sensitivity["ci_high"]], color=INK, linewidth=0.8)
    axes.plot([1 - specificity["ci_high"], 1 - specificity["ci_low"]], [y, y], color=INK, linewidth=0.8)
    axes.plot([x], [y], "o", color=INK, markersize=3.5)
    axes.annotate("frozen threshold", (x, y), (8, -14), textcoords="offset points", fontsize=6.5)


def _is(labels: Sequence[str], name: str) -> NDArray[np.int64]:
    return np.array([label == name for label in labels], dtype=np.int64)
