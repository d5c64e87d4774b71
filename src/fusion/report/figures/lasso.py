"""How many features a LASSO keeps: its cross-validated curve and its coefficient paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.report.figures.style import (
    BLUE,
    COLORS,
    DASHED,
    INK,
    LINES,
    MUTED,
    PAGE_IN,
    PAPER,
    VERMILLION,
    Plan,
    short_text,
    stacked,
    style,
)
from fusion.report.run_folder import FinishedRun
from fusion.report.stages import figure_name, fold_text, of_first_fold, of_stage, stage_text, stages

_RULES = {"min": "λ.min, least deviance", "1se": "λ.1se, within a standard error of it", "other": "λ"}
_N_COUNTS = 7  # on the top axis
_COLORS = tuple(color for color in COLORS if color != VERMILLION)  # which is that of the lines of λ
_N_NAME = 52
_HEIGHT_IN, _LEGEND_IN = 2.9, 0.13


def plan_lasso(run: FinishedRun) -> list[Plan]:
    """A figure per stage; none where the run has no lasso_cv.csv."""
    table = run.lasso_cv
    tried = set() if table is None else set(table["stage"])
    found = [stage for stage in stages(run) if stage in tried]
    return [_plan(run, stage, is_first=number == 0) for number, stage in enumerate(found)]


def draw_lasso(curve: pd.DataFrame, paths: pd.DataFrame) -> Figure:
    """The curve on the left, the paths on the right; a stronger penalty on the right of each.

    Args:
        curve: A row per lambda: ``lambda, deviance, error, n_nonzero, chosen, used``.
        paths: (lambdas, features) coefficients per standard deviation; the index is the lambdas of ``curve``.
    """
    with style():
        named = _strongest(paths, _used(curve))
        n_lines = -(-len(named) // 2)
        figure = Figure(figsize=(PAGE_IN, _HEIGHT_IN + _LEGEND_IN * n_lines))
        left, right = figure.subplots(1, 2)
        _draw_curve(left, curve)
        _draw_paths(right, paths, named)
        right.axvline(np.log(_used(curve)), color=VERMILLION, linewidth=1.3, zorder=0)
        for axes in (left, right):
            _count_on_top(axes, curve)
        left.legend(loc="best", frameon=True, facecolor=PAPER, edgecolor="none", framealpha=1)
        if named:
            figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2, handlelength=2.4)
        return figure


def lasso_table(curve: pd.DataFrame, paths: pd.DataFrame) -> pd.DataFrame:
    """A row per penalty of the curve, and one per penalty of each feature's path."""
    drawn = curve[["lambda", "deviance", "error", "n_nonzero", "chosen", "used"]]
    wide = paths.rename_axis(index="lambda").reset_index()
    long = wide.melt(id_vars="lambda", var_name="feature", value_name="coefficient")
    return stacked(deviance=drawn, path=long)


def coefficient_paths(curve: pd.DataFrame, path: pd.DataFrame | None) -> pd.DataFrame:
    """(lambdas, features), 0 where the table has no row; in the order of ``curve``."""
    lambdas = curve["lambda"].to_numpy()
    if path is None or path.empty:
        return pd.DataFrame(index=lambdas)
    wide = path.pivot_table(index="lambda", columns="feature", values="coefficient", sort=True)
    return wide.reindex(lambdas).fillna(0.0)


def _plan(run: FinishedRun, stage: str, *, is_first: bool) -> Plan:
    assert run.lasso_cv is not None
    curve, fold = of_first_fold(of_stage(run.lasso_cv, stage))
    name, title = figure_name("lasso", stage), f"How many features: {stage_text(stage)}"
    if not (curve["used"] == 1).any():
        return Plan(name, title, "", "lasso_cv.csv does not say which λ is in use.")
    path = None if run.lasso_path is None else of_stage(run.lasso_path, stage)
    of_fold = None if path is None else path[path["fold"].astype(int) == fold]
    rule = curve.loc[curve["used"] == 1, "chosen"].iloc[0].split()
    n_kept = int(curve.loc[curve["used"] == 1, "n_nonzero"].iloc[0])
    anew = ", filters and LASSO run anew in every cross-validation fold" if run.filters else ""
    caption = (
        f"Left: cross-validated binomial deviance on training patients (the lower, the better){anew}, "
        "against the penalty λ, bars: one standard error. Right: every feature’s coefficient per standard deviation, "
        "which the penalty shrinks to 0; the strongest at the solid line have colors. Above: features kept. A flat "
        "curve means that the number of features is a matter of chance. [Friedman et al., J Stat Softw 2010;33:1]"
    )
    # The other stages are read in the same way.
    kept = f"{fold_text(run, fold)}The λ in use (solid{f', {_named(rule)}' if rule else ''}) keeps {n_kept}."
    caption = f"{kept} {caption}" if is_first else kept
    paths = coefficient_paths(curve, of_fold)
    return Plan(name, title, caption, draw_lasso(curve, paths), lasso_table(curve, paths))


def _named(rules: list[str]) -> str:
    return " and ".join(f"λ.{rule}" for rule in rules)


def _used(curve: pd.DataFrame) -> float:
    return float(curve.loc[curve["used"] == 1, "lambda"].iloc[0])


def _strongest(paths: pd.DataFrame, used: float) -> list[str]:
    """The features with the largest coefficients at the lambda in use, if they are not 0."""
    if paths.empty:
        return []
    sizes = paths.loc[used].abs()
    return [str(name) for name in sizes[sizes > 0].sort_values(ascending=False, kind="stable").index[: len(_COLORS)]]


def _draw_curve(axes: Axes, curve: pd.DataFrame) -> None:
    x = np.log(curve["lambda"].to_numpy())
    deviances, errors = curve["deviance"].to_numpy(), curve["error"].to_numpy()
    axes.vlines(x, deviances - errors, deviances + errors, color=MUTED, linewidth=0.6)
    axes.plot(x, deviances, "o", color=BLUE, markersize=2.4, markeredgewidth=0)
    # Of two rules at one place the one that is drawn solid, that in use, stays in sight.
    for place, chosen, is_used in zip(x, curve["chosen"], curve["used"] == 1, strict=True):
        for rule in chosen.split() or (["other"] if is_used else []):
            text = f"{_RULES.get(rule, rule)}{' (in use)' if is_used else ''}"
            axes.axvline(place, color=VERMILLION, linewidth=1.3, linestyle="solid" if is_used else DASHED, label=text)
    axes.set(xlabel="log λ (to the right: fewer features)", ylabel="Deviance, cross-validated")


def _draw_paths(axes: Axes, paths: pd.DataFrame, named: list[str]) -> None:
    x = np.log(paths.index.to_numpy(dtype=np.float64))
    for name in paths.columns:
        if name not in named:
            axes.plot(x, paths[name], color=MUTED, linewidth=0.5, alpha=0.6)
    for name, color, line in zip(named, _COLORS, LINES, strict=False):
        axes.plot(x, paths[name], color=color, linestyle=line, linewidth=1.3, label=short_text(name, _N_NAME))
    if paths.empty:
        axes.text(0.5, 0.5, "No feature enters at any λ.", transform=axes.transAxes, ha="center", color=MUTED)
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.set(xlabel="log λ (to the right: fewer features)", ylabel="Coefficient per standard deviation")


def _count_on_top(axes: Axes, curve: pd.DataFrame) -> None:
    """The number of features at evenly spaced lambdas."""
    x: NDArray[Any] = np.log(curve["lambda"].to_numpy())
    shown = np.unique(np.linspace(0, len(x) - 1, min(_N_COUNTS, len(x))).round().astype(int))
    axes.set_xlim(x.min() - 0.03 * np.ptp(x) - 0.01, x.max() + 0.03 * np.ptp(x) + 0.01)
    top = axes.secondary_xaxis("top")
    top.set_xticks(x[shown], [f"{int(n)}" for n in curve["n_nonzero"].to_numpy()[shown]], fontsize=6.5)
    top.tick_params(length=2)
    top.spines["top"].set_visible(False)
