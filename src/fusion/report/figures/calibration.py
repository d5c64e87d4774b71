"""Whether the probabilities are true: reliability with intervals, a smooth curve, and where the patients lie."""

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
    MUTED,
    ORANGE,
    VERMILLION,
    Plan,
    column,
    interval_text,
    short_text,
    stacked,
    style,
)
from fusion.report.run_folder import FinishedRun

_EDGES = np.linspace(0, 1, 41)
# Name of the figure and its best value.
_IN_CAPTION = {
    "calibration_intercept": ("intercept", "0"),
    "calibration_slope": ("slope", "1"),
    "ici": ("integrated calibration index", "0"),
    "ece": ("expected calibration error", "0"),
    "brier": ("Brier score", "0"),
}


def plan_calibration(run: FinishedRun) -> Plan | None:
    """The reliability curve; None where metrics.json has no table of it."""
    table = run.metrics.get("curves", {}).get("reliability")
    if not table or len(run.test.label_names) != 2:
        return None
    positive = run.test.label_names[1]
    smooth, by_label = run.metrics["curves"].get("smooth_calibration"), _by_label(run)
    figure = draw_calibration(table, smooth, by_label, positive)
    numbers = calibration_table(table, smooth, by_label)
    return Plan("calibration", "Are the probabilities true?", _caption(run, positive), figure, numbers)


def draw_calibration(
    reliability: Sequence[Mapping[str, Any]],
    smooth: Mapping[str, Sequence[float | None]] | None,
    probabilities: Mapping[str, NDArray[np.float64]],
    positive: str,
) -> Figure:
    """Observed share of the positive label against its predicted probability, above a histogram of it.

    Args:
        reliability: Groups, with ``predicted``, ``observed``, ``ci_low``, ``ci_high`` and ``n``.
        smooth: ``predicted`` and ``observed`` along a smooth curve.
        probabilities: Of the positive label, by label, the positive one last.
        positive: Its name.
    """
    name = short_text(positive, 30)
    with style():
        figure = Figure(figsize=(COLUMN_IN, 4.5))
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
        top.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=DASHED, label="ideal")
        if smooth is not None:
            x, y = (np.array(smooth[key], dtype=np.float64) for key in ("predicted", "observed"))
            top.plot(x, y, color=ORANGE, linewidth=1.4, label="smooth curve")
        _groups(top, reliability)
        top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel=f"Observed share of {name}")
        top.legend(loc="upper left", handlelength=1.5, borderaxespad=0.2)
        _histogram(bottom, _histograms(probabilities), [short_text(label, 24) for label in probabilities])
        bottom.set_xlabel(f"Predicted probability of {name}")
        return figure


def calibration_table(
    reliability: Sequence[Mapping[str, Any]],
    smooth: Mapping[str, Sequence[float | None]] | None,
    probabilities: Mapping[str, NDArray[np.float64]],
) -> pd.DataFrame:
    """A row per group, per point of the smooth curve, and per bar of the two histograms."""
    keys = ("predicted", "observed", "ci_low", "ci_high")
    groups = pd.DataFrame({**{key: column(reliability, key) for key in keys}, "n": [row["n"] for row in reliability]})
    points = {} if smooth is None else {key: np.array(smooth[key], dtype=np.float64) for key in keys[:2]}
    bars = [
        pd.DataFrame({"label": label, "predicted_low": _EDGES[:-1], "predicted_high": _EDGES[1:], "share": shares})
        for label, shares in _histograms(probabilities).items()
    ]
    return stacked(group=groups, smooth_curve=pd.DataFrame(points), histogram=pd.concat(bars))


def _histograms(probabilities: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Shares by bin of the positive label, and of all others together."""
    *others, positive = probabilities
    rest = np.concatenate([probabilities[label] for label in others])
    return {positive: _shares(probabilities[positive]), ", ".join(others): _shares(rest)}


def _groups(axes: Axes, reliability: Sequence[Mapping[str, Any]]) -> None:
    x, y, low, high = (column(reliability, key) for key in ("predicted", "observed", "ci_low", "ci_high"))
    sizes = sorted({row["n"] for row in reliability})
    n = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    axes.vlines(x, low, high, color=BLUE, linewidth=0.9)
    axes.plot(x, y, "o", color=BLUE, markersize=3.8, label=f"groups of {n}, with interval")


def _histogram(axes: Axes, shares: Mapping[str, NDArray[np.float64]], labels: Sequence[str]) -> None:
    """The positive label's bars go up, the others' down; both have the same area, or the rarer label is not seen."""
    up, down = shares.values()
    middles, width = (_EDGES[1:] + _EDGES[:-1]) / 2, 0.8 * (_EDGES[1] - _EDGES[0])
    axes.bar(middles, up, width, color=VERMILLION, linewidth=0)
    axes.bar(middles, -down, width, color=MUTED, linewidth=0)
    axes.axhline(0, color=MUTED, linewidth=0.5)
    axes.set(ylim=(-1.35 * max(down.max(), 0.05), 1.35 * max(up.max(), 0.05)), yticks=[])
    axes.spines["left"].set_visible(False)
    # Each name stands where its own bars are lowest.
    for text, color, y, va in ((labels[-1], VERMILLION, 0.98, "top"), (", ".join(labels[:-1]), MUTED, 0.02, "bottom")):
        is_up = va == "top"
        axes.text(
            0.01 if is_up else 0.99,
            y,
            text,
            transform=axes.transAxes,
            fontsize=6.5,
            color=color,
            ha="left" if is_up else "right",
            va=va,
        )


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.histogram(values, _EDGES)[0] / max(1, len(values))


def _by_label(run: FinishedRun) -> dict[str, NDArray[np.float64]]:
    labels = np.array(run.test.labels)
    return {name: run.test.probabilities[labels == name, 1] for name in run.test.label_names}


def _caption(run: FinishedRun, positive: str) -> str:
    test = run.metrics.get("test", {})
    figures = [
        f"{name} {interval_text(test[key])} ({best} is best)"
        for key, (name, best) in _IN_CAPTION.items()
        if key in test
    ]
    return (
        "Test patients in groups of similar predicted probability (points; bars are Wilson’s intervals of the share) "
        "and a smooth curve through all of them (loess). On the dashed line as many are "
        f"{positive} as predicted; below "
        f"it the risk was overstated, above it understated. Below: where the patients lie, {positive} upwards, the "
        f"others downwards, as shares of their own number. {_capitalized(', '.join(figures))}{'. ' if figures else ''}"
        "[Van Calster et al., BMC Med 2019;17:230; Austin & Steyerberg, Stat Med 2019;38:4051]"
    )


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
