"""Histogram of the positive label's probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.report.figures.style import COLORS, COLUMN_IN, INK, Plan, short_text, stacked, style
from fusion.report.inner import inner_text
from fusion.report.run_folder import FinishedRun

_EDGES = np.linspace(0, 1, 21)
_N_LINES = 5  # more thresholds than these are drawn as the range that they span


def plan_distribution(run: FinishedRun) -> Plan:
    """The histogram of each label's test patients."""
    caption = (
        "Where the two histograms overlap the model cannot tell the patients apart; the further apart, the better. "
        f"The thresholds were chosen on {inner_text(run)}, and frozen."
    )
    title = "Predicted probability by label"
    test = run.test
    if len(test.label_names) > 2 or not test.labels:
        return Plan("distribution", title, caption, "It needs labeled test patients and an outcome of two labels.")
    labels = np.array(test.labels)
    by_label = {name: test.probabilities[labels == name, 1] for name in test.label_names}
    thresholds = [value for fold, value in sorted(run.thresholds.items()) if fold in test.folds]
    # Under repeated cross-validation a patient is scored once in each repeat.
    counted = "Patients" if len(set(test.patient_ids)) == len(test.patient_ids) else "Predictions"
    figure = draw_distribution(by_label, test.label_names[1], thresholds, counted=counted)
    return Plan("distribution", title, caption, figure, distribution_table(by_label, thresholds))


def draw_distribution(
    probabilities: Mapping[str, NDArray[np.float64]], positive: str, thresholds: Sequence[float], *, counted: str
) -> Figure:
    """Histogram of the positive label's probability, a row per label, with the frozen thresholds.

    Args:
        probabilities: By label.
        positive: Name of the positive label.
        thresholds: Of the folds; empty where there are none.
        counted: What a row is, e.g. ``Patients``.
    """
    with style():
        figure = Figure(figsize=(COLUMN_IN, 1.1 * len(probabilities) + 0.7))
        rows = figure.subplots(len(probabilities), 1, sharex=True, squeeze=False)[:, 0]
        for k, (axes, (label, values)) in enumerate(zip(rows, probabilities.items(), strict=True)):
            axes.stairs(_counts(values), _EDGES, fill=True, color=COLORS[k], linewidth=0)
            axes.set_title(f"{short_text(label, 40)} (n = {len(values)})", loc="left", fontsize=8, color=INK)
            axes.set_ylabel(counted)
            axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
            _thresholds(axes, thresholds)
        rows[-1].set(xlim=(0, 1), xlabel=f"Predicted probability of {short_text(positive, 30)}{_legend(thresholds)}")
        return figure


def distribution_table(probabilities: Mapping[str, NDArray[np.float64]], thresholds: Sequence[float]) -> pd.DataFrame:
    """A row per bar, from ``probability_low`` to ``probability_high``, and one per threshold."""
    bars = [
        pd.DataFrame(
            {"label": label, "probability_low": _EDGES[:-1], "probability_high": _EDGES[1:], "n": _counts(values)}
        )
        for label, values in probabilities.items()
    ]
    return stacked(bar=pd.concat(bars), frozen_threshold=pd.DataFrame({"threshold": thresholds}, dtype=np.float64))


def _counts(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.histogram(values, _EDGES)[0].astype(np.int64)


def _thresholds(axes: Axes, thresholds: Sequence[float]) -> None:
    if len(thresholds) > _N_LINES:
        axes.axvspan(min(thresholds), max(thresholds), color=INK, alpha=0.12, linewidth=0)
        thresholds = [float(np.median(thresholds))]
    for threshold in thresholds:
        axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))


def _legend(thresholds: Sequence[float]) -> str:
    if not thresholds:
        return ""
    if len(thresholds) == 1:
        return "\n(dotted: frozen threshold)"
    if len(thresholds) <= _N_LINES:
        return "\n(dotted: frozen thresholds of the folds)"
    return f"\n(median and range of {len(thresholds)} frozen thresholds)"
