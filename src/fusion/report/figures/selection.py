"""The selected features, with how surely they were selected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fusion.report.figures.names import text_widths
from fusion.report.figures.rows import draw_rows
from fusion.report.figures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PAGE_IN,
    PAPER,
    SKY,
    VERMILLION,
    Plan,
    percent_text,
    stacked,
    style,
)
from fusion.report.run_folder import FinishedRun
from fusion.report.stages import figure_name, of_stage, stage_text, stages

_N_SHOWN = 20
_SIZE = 6.5  # of the words beside the bars, in points


def plan_selection(run: FinishedRun) -> list[Plan]:
    """A figure per stage that selects; none where the run has no selection.csv."""
    if run.selection is None:
        return []
    return [_plan(run, stage, is_first=number == 0) for number, stage in enumerate(stages(run))]


def rank_selection(selection: pd.DataFrame, n_folds: int) -> pd.DataFrame:
    """The selected features of a stage, the strongest first.

    Args:
        selection: Columns ``fold, feature, coefficient, frequency``.
        n_folds: Of the run; a fold without the feature counts as a coefficient of 0.

    Returns:
        Columns ``feature, coefficient`` (mean over all folds, signed), ``frequency`` (mean over the folds that
        selected it; NaN where it was not measured) and ``n_folds`` (that selected it).
    """
    grouped = selection.groupby("feature", sort=True)
    table = grouped.agg(
        coefficient=("coefficient", "sum"), frequency=("frequency", "mean"), n_folds=("fold", "nunique")
    ).reset_index()
    table = table.assign(coefficient=table["coefficient"] / n_folds)
    order = table["coefficient"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def draw_selection(ranking: pd.DataFrame, selection: pd.DataFrame, n_folds: int) -> Figure:
    """A row per feature: its coefficient with the folds' own, and the share of resamples that selected it.

    Args:
        ranking: As :func:`rank_selection` gives it.
        selection: What it was made from.
        n_folds: Of the run.
    """
    measured = bool(ranking["frequency"].notna().any())
    heads = ["Coefficient", "Selected in resamples" if measured else "Selected in"]
    xlabels = ["Coefficient per standard deviation", "Share of bootstrap resamples" if measured else "Folds"]
    with style():
        figure, (left, right) = draw_rows(list(ranking["feature"]), heads=heads, xlabels=xlabels, shares=(0.6, 0.4))
        _draw_coefficients(left, ranking, selection)
        _draw_frequencies(figure, right, ranking, n_folds, measured=measured)
        return figure


def _plan(run: FinishedRun, stage: str, *, is_first: bool) -> Plan:
    name, title = figure_name("selection", stage), f"What was selected: {stage_text(stage)}"
    assert run.selection is not None
    selection = of_stage(run.selection, stage)
    if selection.empty:
        return Plan(name, title, "", f"The selection of {stage_text(stage)} kept no feature in any fold.")
    ranking = rank_selection(selection, run.n_folds)
    n, n_shown = len(ranking), min(len(ranking), _N_SHOWN)
    of_folds = (
        f"Mean over the {run.n_folds} folds, 0 where a fold did not select the feature; dots: the folds that did. "
        if run.n_folds > 1
        else ""
    )
    shown = f"The strongest {n_shown} of {n} features. " if n_shown < n else ""
    caption = (
        f"{shown}Coefficients per standard deviation in "
        f"the penalized model: to the right (blue) more {run.test.label_names[-1]}, to the left (red) less. {of_folds}"
        f"{_frequency_text(run, selection)}[Heinze et al., Biom J 2018;60:431]"
    )
    # The other stages are read in the same way.
    caption = caption if is_first else shown
    drawn = ranking.head(_N_SHOWN)
    figure = draw_selection(drawn, selection, run.n_folds)
    return Plan(name, title, caption, figure, selection_table(drawn, selection))


def selection_table(ranking: pd.DataFrame, selection: pd.DataFrame) -> pd.DataFrame:
    """A row per bar (the mean over the folds), and one per dot (a fold's own coefficient)."""
    dots = selection.loc[selection["feature"].isin(ranking["feature"]), ["feature", "fold", "coefficient"]]
    return stacked(mean=ranking, fold=dots)


def _frequency_text(run: FinishedRun, selection: pd.DataFrame) -> str:
    if selection["frequency"].isna().all():
        return "On the right: in how many folds the feature was selected. "
    kept = (
        "filters and the LASSO at the chosen penalty keep" if run.filters else "the LASSO at the chosen penalty keeps"
    )
    return (
        f"On the right: the share of bootstrap resamples of the training patients in which {kept} the feature. A high "
        "share means a stable choice, not a true one; below a half (dashed), other patients would have given other "
        "features, and the name should not be interpreted. "
    )


def _draw_coefficients(axes: Axes, ranking: pd.DataFrame, selection: pd.DataFrame) -> None:
    rows = np.arange(len(ranking))
    colors = [BLUE if value > 0 else VERMILLION for value in ranking["coefficient"]]
    axes.barh(rows, ranking["coefficient"], height=0.42, color=colors, linewidth=0)
    row_of = dict(zip(ranking["feature"], rows, strict=True))
    shown = selection[selection["feature"].isin(row_of)]
    if len(set(shown["fold"])) > 1:
        axes.plot(shown["coefficient"], shown["feature"].map(row_of), "o", color=INK, markersize=2.2, alpha=0.7)
    axes.axvline(0, color=INK, linewidth=0.7)
    axes.margins(x=0.06)
    axes.locator_params(axis="x", nbins=6)


def _draw_frequencies(figure: Figure, axes: Axes, ranking: pd.DataFrame, n_folds: int, *, measured: bool) -> None:
    rows, texts = np.arange(len(ranking)), list[str]()
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}  # before the dashed line
    shares = (ranking["frequency"] if measured else ranking["n_folds"] / n_folds).fillna(0.0)
    axes.barh(rows, shares, height=0.42, color=[SKY if share >= 0.5 else ORANGE for share in shares], linewidth=0)
    for row, (share, frequency, n) in enumerate(zip(shares, ranking["frequency"], ranking["n_folds"], strict=True)):
        parts = [
            "" if np.isnan(frequency) else percent_text(frequency),
            f"{n} of {n_folds} folds" if n_folds > 1 else "",
        ]
        text = ", ".join(filter(None, parts))
        texts.append(text)
        place: Any = {"xy": (share, row), "xytext": (4, 0), "textcoords": "offset points"}
        axes.annotate(text, **place, fontsize=_SIZE, va="center", color=MUTED, bbox=box)
    axes.axvline(0.5, color=MUTED, linewidth=0.7, linestyle=(0, (3, 2)), zorder=0)
    # The longest bar leaves room for its words.
    words = (1.1 * max(text_widths(figure, texts, size=_SIZE)) + 0.05) / (axes.get_position().width * PAGE_IN)
    axes.set(xlim=(0, 1 / (1 - words)), xticks=[0, 0.5, 1])
    axes.set_xticklabels([percent_text(share) for share in (0, 0.5, 1)])
    axes.xaxis.label.set(horizontalalignment="left", x=0.0)
