"""A forest plot: a row per group with its estimate, which stands beside it in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from fusion.report.figures.names import N_NAME as N_NAME
from fusion.report.figures.names import text_widths, wrapped
from fusion.report.figures.style import (
    BLUE,
    DASHED,
    INK,
    MUTED,
    PAGE_IN,
    VERMILLION,
    Estimate,
    interval_text,
    number_text,
    short_text,
    style,
)

Kind = Literal["heading", "group", "total", "summary", "prediction"]
_ROW_IN, _LINE_IN, _HEAD_IN, _FOOT_IN, _GAP_IN, _INSET_IN = 0.2, 0.12, 0.26, 0.42, 0.18, 0.12
N_NOTE = 70
_SIZE = 7.5  # of the type, in points


class Row(NamedTuple):
    """A line of the plot.

    Attributes:
        name: On the left; in two lines where it has a line break.
        n: Beside it, as text.
        estimate: Drawn and written; None for a line without one.
        kind: A ``group`` is a square whose area goes with its patients, a ``total`` the same below a rule, a
            ``summary`` a diamond, a ``prediction`` a line without a point, a ``heading`` words alone.
        note: In the place of the drawing: why there is none.
        is_inset: Whether the name is set in, below a heading.
    """

    name: str
    n: str
    estimate: Estimate | None
    kind: Kind = "group"
    note: str = ""
    is_inset: bool = False


class _Columns(NamedTuple):
    """Where things stand, in inches from the left: right edge of ``n``, the plot's edges, left edge of the numbers."""

    n: float
    plot: tuple[float, float]
    numbers: float


def draw_forest(rows: Sequence[Row], *, heads: tuple[str, str, str], xlabel: str, reference: float) -> Figure:
    """Draw the rows from top to bottom.

    Args:
        rows: From top to bottom.
        heads: Above the names, above ``n`` and above the numbers.
        xlabel: Of the estimates, which lie in [0, 1].
        reference: An upright dashed line, e.g. 0.5 for chance.
    """
    names = [wrapped(row.name) for row in rows]
    heights = [_ROW_IN + _LINE_IN * name.count("\n") for name in names]
    total = _HEAD_IN + sum(heights) + _FOOT_IN
    with style():
        figure = Figure(figsize=(PAGE_IN, total))
        figure.set_layout_engine("none")
        page = figure.add_axes((0, 0, 1, 1), xlim=(0, PAGE_IN), ylim=(total, 0))  # in inches, for the words
        page.set_axis_off()
        numbers = [_numbers(row) for row in rows]
        columns = _columns(page, (heads[0], *names), (heads[1], *(row.n for row in rows)), (heads[2], *numbers))
        axes = _plot_axes(figure, columns, total)
        axes.set(xlim=_limits(rows, reference), xlabel=xlabel)
        most = max([row.estimate["n"] for row in rows if row.estimate is not None and row.kind == "group"], default=1)
        _write(page, columns, _HEAD_IN / 2, heads, inset=False, color=MUTED, weight="normal")
        y = _HEAD_IN
        for row, name, height, number in zip(rows, names, heights, numbers, strict=True):
            weight = "normal" if row.kind in ("group", "prediction") else "bold"
            _write(page, columns, y + height / 2, (name, row.n, number), inset=row.is_inset, color=INK, weight=weight)
            if row.note:
                page.text(
                    columns.plot[0],
                    y + height / 2,
                    short_text(row.note, N_NOTE),
                    fontsize=_SIZE,
                    color=MUTED,
                    va="center",
                )
            else:
                axes.plot([reference] * 2, [y, y + height], color=MUTED, linewidth=0.7, linestyle=(0, (3, 2)), zorder=0)
            _mark(axes, y + height / 2, row, most)
            if row.kind == "total":
                page.plot([0, PAGE_IN], [y, y], color=MUTED, linewidth=0.6)
            y += height
        return figure


def forest_table(rows: Sequence[Row], *, heads: tuple[str, str, str]) -> pd.DataFrame:
    """The rows with their numbers; a row below a heading names it."""
    heading, numbers = "", []
    for row in rows:
        heading = row.name if row.kind == "heading" else heading if row.is_inset else ""
        if row.kind != "heading":
            estimate = row.estimate or {"value": None, "ci_low": None, "ci_high": None}
            names = {"group": heading, heads[0].lower(): row.name.replace("\n", " "), heads[1].lower(): row.n}
            parts = {key: estimate[key] for key in ("value", "ci_low", "ci_high")}
            numbers.append({**names, "kind": row.kind, **parts, "note": row.note})
    table = pd.DataFrame(numbers)
    return table if table["group"].any() else table.drop(columns="group")


def _plot_axes(figure: Figure, columns: _Columns, total: float) -> Axes:
    """Axes beside the rows, their y in inches from the top of the figure."""
    left, right = (edge / PAGE_IN for edge in columns.plot)
    bottom, top = _FOOT_IN / total, 1 - _HEAD_IN / total
    axes = figure.add_axes((left, bottom, right - left, top - bottom), ylim=(total - _FOOT_IN, _HEAD_IN), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)
    return axes


def _columns(page: Axes, names: Sequence[str], counts: Sequence[str], numbers: Sequence[str]) -> _Columns:
    """The words get the width that they need, the plot has the rest."""
    right_of_n = _INSET_IN + _width(page, names) + _GAP_IN + _width(page, counts)
    # Another renderer may set the words a little wider.
    left_of_numbers = PAGE_IN - 1.06 * _width(page, numbers)
    return _Columns(right_of_n, (right_of_n + _GAP_IN, left_of_numbers - _GAP_IN), left_of_numbers)


def _width(page: Axes, texts: Sequence[str]) -> float:
    """Of the widest text, in inches; measured in bold, which is wider."""
    figure = page.get_figure(root=True)
    assert figure is not None
    return max(text_widths(figure, texts, size=_SIZE, weight="bold"), default=0.0)


def _write(
    page: Axes, columns: _Columns, y: float, texts: tuple[str, str, str], *, inset: bool, color: str, weight: str
) -> None:
    places = ((_INSET_IN if inset else 0.0, "left"), (columns.n, "right"), (columns.numbers, "left"))
    for text, (x, ha) in zip(texts, places, strict=True):
        if text:
            page.text(x, y, text, ha=ha, va="center", fontsize=_SIZE, color=color, weight=weight, linespacing=1.1)


def _mark(axes: Axes, y: float, row: Row, most: int) -> None:
    estimate = row.estimate
    if estimate is None:
        return
    value, low, high = (math.nan if estimate[key] is None else estimate[key] for key in ("value", "ci_low", "ci_high"))
    if row.kind == "summary":
        corners = [(low, y), (value, y - 0.065), (high, y), (value, y + 0.065)]
        axes.add_patch(Polygon(corners, facecolor=VERMILLION, linewidth=0))
        return
    color = {"group": BLUE, "prediction": VERMILLION}.get(row.kind, INK)
    axes.plot(
        [low, high], [y, y], color=color, linewidth=1.1, linestyle=DASHED if row.kind == "prediction" else "solid"
    )
    # The square's area goes with the patients; the smallest can still be seen.
    side = 5.5 if row.kind == "total" else max(2.2, 7 * math.sqrt(estimate["n"] / most))
    axes.plot([value], [y], "s", color=color, markersize=side, markeredgewidth=0)


def _limits(rows: Sequence[Row], reference: float) -> tuple[float, float]:
    """From below the lowest limit, or the reference, to 1."""
    lows = [row.estimate["ci_low"] for row in rows if row.estimate is not None and row.estimate["ci_low"] is not None]
    values = [row.estimate["value"] for row in rows if row.estimate is not None and row.estimate["value"] is not None]
    return max(min([*lows, *values, reference]) - 0.04, -0.01), 1.01


def _numbers(row: Row) -> str:
    if row.estimate is None:
        return ""
    if row.kind == "prediction" and row.estimate["ci_low"] is not None:
        return f"{number_text(row.estimate['ci_low'], 3)} to {number_text(row.estimate['ci_high'], 3)}"
    return interval_text(row.estimate)
