"""How an input moves the model's output, against what each case had of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, cycle
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.explanation.feature_names import describe
from fusion.records import UNLABELED
from fusion.report.figures.names import wrapped
from fusion.report.figures.ranking import rank_attributions
from fusion.report.figures.shap import N_POINTS, output_text, swarm, thin
from fusion.report.figures.style import COLORS, COLUMN_IN, INK, MUTED, PAGE_IN, Plan, short_text, style
from fusion.report.run_folder import FinishedRun

_N_PANELS = 6
_N_LEVELS = 6  # of a panel; more have no room for their names
_N_LEVEL, _N_SLANTED, _N_CODE, _N_LABEL = 18, 13, 46, 30  # characters of a line
_ROW_IN, _LONG_IN, _LEGEND_IN = 2.2, 0.5, 0.25
_FAR_OUT = 3.0  # times the middle half's width beyond it (Tukey, Exploratory Data Analysis, 1977)
_MARKERS = ("o", "^", "s", "D", "v", "P")
_UNITS = {
    "extracted": "as extracted",
    "standardized": "in standard deviations of training",
    "logit": "in log-odds",
}
_ANSWERS = ("no", "yes")
_MISSING = "missing"


class Panel(NamedTuple):
    """An input, and the cases that are drawn.

    Attributes:
        name: Of the input.
        unit: Of its numbers; empty where there is none.
        levels: From left to right; empty where the input is a number.
        dots: Columns ``given`` (text, empty where it is missing), ``value``, ``label``, by value.
        n_beyond: Cases far out, which are not drawn.
        is_thinned: Whether there were too many of the others for all to be drawn.
    """

    name: str
    unit: str
    levels: tuple[str, ...]
    dots: pd.DataFrame
    n_beyond: int
    is_thinned: bool


def plan_dependence(run: FinishedRun) -> Plan | None:
    """The strongest inputs; None where attributions/inputs.csv says nothing of what the cases had, or has two units."""
    table = run.attributions.get("inputs")
    if table is None or not {"scale", "given"} <= {*table.columns} or len({*table["unit"]}) != 1:
        return None
    title, unit = "What the output depended on", str(table["unit"].iloc[0])
    n_cases = len(table[["case_id", "fold"]].drop_duplicates())
    ranked = rank_attributions(table, n_cases)
    strongest = ranked.loc[ranked["strength"] > 0, "name"].head(_N_PANELS)
    if strongest.empty:
        return Plan("dependence", title, "", "No input moved the output of any case.")
    labeled, described = table.assign(label=_labels(run, table)), described_columns(run.config["cohort"])
    panels = [
        make_panel(str(name), labeled[labeled["name"] == name], described.get(str(name), {})) for name in strongest
    ]
    figure = draw_dependence(panels, label_names=run.patients.label_names, unit=unit)
    return Plan("dependence", title, _caption(run, table, panels), figure, dependence_table(panels))


def described_columns(cohort: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """``kind``, ``unit`` and ``levels`` of the clinical columns, by name.

    Args:
        cohort: Of the configuration.
    """
    reader = cohort.get("reader_score") or {}
    own = {reader["column"]: {"kind": "ordered", **reader}} if reader.get("as_input") else {}
    return {str(name): column for name, column in {**(cohort.get("clinical") or {}), **own}.items()}


def make_panel(name: str, rows: pd.DataFrame, described: Mapping[str, Any]) -> Panel:
    """What is drawn of an input.

    Args:
        name: Of the input.
        rows: Columns ``value, scale, given, label``.
        described: Of its clinical column; empty where it is none.
    """
    dots = rows[["given", "value", "label"]].sort_values(["value", "given", "label"], ignore_index=True)
    unit = _UNITS.get(str(rows["scale"].iloc[0]), str(described.get("unit") or ""))
    known = dots.loc[dots["given"] != "", "given"]
    numbers = pd.to_numeric(known, errors="coerce")
    if described.get("kind", "number") == "number" and not numbers.isna().any():
        far = numbers.index[_is_far_out(numbers.to_numpy(dtype=np.float64))]
        near = dots.drop(index=far)
        return Panel(name, unit, (), _thinned(near), len(far), len(near) > N_POINTS)
    levels = _levels(known, described)
    if len(levels) > _N_LEVELS:
        others = f"{len(levels) - _N_LEVELS + 1} others"
        kept, levels = levels[: _N_LEVELS - 1], (*levels[: _N_LEVELS - 1], others)
        dots = dots.assign(given=dots["given"].where(dots["given"].isin((*kept, "")), others))
    return Panel(name, unit, levels, _thinned(dots), 0, len(dots) > N_POINTS)


def draw_dependence(panels: Sequence[Panel], *, label_names: Sequence[str], unit: str) -> Figure:
    """A panel per input, all with the same vertical scale.

    Args:
        panels: At most six.
        label_names: The outcome's; a dot's label that is none of them is drawn as unknown.
        unit: Of the SHAP values.
    """
    n_columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    rows = [panels[start : start + n_columns] for start in range(0, len(panels), n_columns)]
    heights = [_ROW_IN + _LONG_IN * any(_is_long(panel) for panel in row) for row in rows]
    with style():
        figure = Figure(figsize=(PAGE_IN if n_columns > 1 else COLUMN_IN, sum(heights) + _LEGEND_IN))
        grid = figure.subplots(len(rows), n_columns, sharey=True, squeeze=False, height_ratios=heights)
        markers = _markers(label_names)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, panel, markers)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes in grid[:, 0]:
            axes.set_ylabel(f"SHAP value ({unit})")
        drawn = {label for panel in panels for label in panel.dots["label"]}
        handles = [
            grid[0, 0].scatter([], [], label=short_text(label, _N_LABEL) or "outcome unknown", **marker)
            for label, marker in markers.items()
            if label in drawn
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=4, handletextpad=0.2, borderpad=0)
        return figure


def dependence_table(panels: Sequence[Panel]) -> pd.DataFrame:
    """A row per dot: ``name``, ``given`` (empty where it is missing), ``value``, ``label``."""
    table = pd.concat([panel.dots.assign(name=panel.name) for panel in panels], ignore_index=True)
    return table[["name", "given", "value", "label"]]


def _labels(run: FinishedRun, table: pd.DataFrame) -> list[str]:
    cases = run.patients if run.cases is None else run.cases
    labels = dict(zip(cases.case_ids or cases.patient_ids, cases.labels, strict=True))
    return [labels.get(case_id, UNLABELED) for case_id in table["case_id"]]


def _caption(run: FinishedRun, table: pd.DataFrame, panels: Sequence[Panel]) -> str:
    n_inputs, positive, unit = len({*table["name"]}), run.patients.label_names[-1], str(table["unit"].iloc[0])
    n_models, n_dots = len({*table["fold"]}), len(table[["case_id", "fold"]].drop_duplicates())
    scored = " and one of the models that scored it" * (n_dots > len({*table["case_id"]}))
    folds = ", or the models of the folds differ" * (n_models > 1)
    sentences = {
        f"The strongest {len(panels)} of {n_inputs} inputs.": n_inputs > len(panels),
        f"A dot is a test case{scored}: across, what it had of the input; upwards, how far that moved "
        f"{output_text(run, unit)} "
        f"towards {positive}, downwards, away from it; on one scale in all panels. Where cases with the same value lie "
        f"at different heights, it depends on their other inputs{folds}.": True,
        "Levels are spread sideways where dots are dense.": any(panel.levels for panel in panels),
        f"Above “{_MISSING}” stand cases that have none, for which the model put something in its place.": any(
            (panel.dots["given"] == "").any() for panel in panels
        ),
        "Numbers that lie further from the middle half than three times its width are cut off, and counted below.": any(
            panel.n_beyond for panel in panels
        ),
        f"Of more than {N_POINTS} dots, {N_POINTS} are drawn, evenly.": any(panel.is_thinned for panel in panels),
        "It shows what the model does with an input, not what the disease does.": True,
    }
    said = " ".join(sentence for sentence, is_so in sentences.items() if is_so)
    return f"{said} [Lundberg & Lee, NeurIPS 2017:4765; Lundberg et al., Nat Mach Intell 2020;2:56]"


def _is_far_out(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not len(numbers):
        return np.zeros(0, dtype=np.bool_)
    low, high = np.quantile(numbers, (0.25, 0.75))
    reach = _FAR_OUT * (high - low)
    # Where more than half of the cases have the same value, the others are no outliers.
    return np.asarray((np.abs(numbers - np.clip(numbers, low, high)) > reach) & (reach > 0))


def _levels(known: pd.Series[str], described: Mapping[str, Any]) -> tuple[str, ...]:
    """In their own order; else the most frequent first."""
    counts = known.value_counts()
    seen = sorted((str(level) for level in counts.index), key=lambda level: (-counts[level], level))
    order = [*(str(level) for level in described.get("levels") or _ANSWERS)]
    if not set(seen) <= set(order):
        return tuple(seen)
    return tuple(level for level in order if level in seen)


def _thinned(dots: pd.DataFrame) -> pd.DataFrame:
    return dots.iloc[thin(np.arange(len(dots), dtype=np.float64)).astype(np.intp)].reset_index(drop=True)


def _draw_panel(axes: Axes, panel: Panel, markers: Mapping[str, Mapping[str, Any]]) -> None:
    axes.axhline(0, color=INK, linewidth=0.6, zorder=0)
    x = _place_levels(axes, panel) if panel.levels else _place_numbers(axes, panel)
    for label, marker in markers.items():
        is_drawn = (panel.dots["label"] == label).to_numpy()
        axes.scatter(x[is_drawn], panel.dots["value"][is_drawn], **marker)
    words = describe(panel.name)
    axes.set_title(wrapped(str(words or panel.name)), fontsize=7, loc="left", pad=11 if words else 4, linespacing=1.05)
    if words:
        axes.annotate(
            short_text(panel.name, _N_CODE), (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
            fontsize=5.5, color=MUTED,
        )  # fmt: skip


def _place_levels(axes: Axes, panel: Panel) -> NDArray[np.float64]:
    """Places (N,) of the dots across, and the ticks."""
    is_missing = (panel.dots["given"] == "").any()
    levels = [*([""] if is_missing else []), *panel.levels]
    x = np.empty(len(panel.dots))
    for position, level in enumerate(levels):
        here = (panel.dots["given"] == level).to_numpy()
        x[here] = position + _spread(panel, here)
    if is_missing:
        axes.axvline(0.5, color=MUTED, linewidth=0.5, linestyle="dotted")
    texts = ["\n".join(wrap(level, _N_LEVEL, max_lines=3, placeholder="…")) or _MISSING for level in levels]
    if _is_long(panel):
        axes.set_xticks(range(len(levels)), texts, rotation=90, fontsize=5.5, linespacing=0.95)
    else:
        slant: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(levels) > 3 else {}
        axes.set_xticks(range(len(levels)), texts, fontsize=6, **slant)
    axes.set_xlim(-0.6, len(levels) - 0.4)
    return x


def _is_long(panel: Panel) -> bool:
    """Whether the names of its levels have to stand upright, in several lines."""
    return any(len(level) > _N_SLANTED for level in panel.levels)


def _place_numbers(axes: Axes, panel: Panel) -> NDArray[np.float64]:
    """Places (N,) of the dots across, those that are missing to the left of all numbers."""
    x: NDArray[np.float64] = pd.to_numeric(panel.dots["given"]).to_numpy(dtype=np.float64, copy=True)
    is_missing = np.isnan(x)
    low, high = (float(x[~is_missing].min()), float(x[~is_missing].max())) if not is_missing.all() else (0.0, 0.0)
    width = high - low or max(abs(low), 1.0)
    if is_missing.any():
        x[is_missing] = low - 0.22 * width + 0.14 * width * _spread(panel, is_missing)
        axes.axvline(low - 0.12 * width, color=MUTED, linewidth=0.5, linestyle="dotted")
        below = axes.get_xaxis_transform()
        axes.text(low - 0.22 * width, -0.035, _MISSING, transform=below, fontsize=6, ha="center", va="top")
    axes.set_xlim(low - (0.3 if is_missing.any() else 0.04) * width, high + 0.04 * width)
    axes.locator_params(axis="x", nbins=4)
    axes.ticklabel_format(axis="x", useOffset=False, scilimits=(-3, 4))
    # None below the numbers, where nothing can be.
    axes.set_xticks([tick for tick in axes.get_xticks() if low - 0.01 * width <= tick <= high + 0.04 * width])
    beyond = f"{panel.n_beyond} beyond the axis" if panel.n_beyond else ""
    axes.set_xlabel("; ".join(filter(None, (panel.unit, beyond))), fontsize=6.5)
    return x


def _spread(panel: Panel, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    everything = panel.dots["value"].to_numpy(dtype=np.float64)
    return np.asarray(swarm(everything[rows], width=float(np.ptp(everything))))


def _markers(label_names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Shapes tell the outcome as well as colors do; the first is hollow, for print."""
    hollow = {"facecolors": "none", "edgecolors": COLORS[0], "linewidths": 0.7, "alpha": 0.85}
    filled = [{"color": color, "linewidths": 0, "alpha": 0.75} for color in COLORS[1:]]
    known = {
        label: {"marker": marker, "s": 9, **look}
        for label, marker, look in zip(label_names, cycle(_MARKERS), chain([hollow], cycle(filled)), strict=False)
    }
    return {**known, UNLABELED: {"marker": "x", "s": 8, "color": MUTED, "linewidths": 0.6}}
