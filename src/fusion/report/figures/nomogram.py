"""A nomogram: points of each variable, their total, and the probability at the total."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fusion.report.figures.names import text_widths, wrapped
from fusion.report.figures.style import BLUE, INK, MUTED, PAGE_IN, PAPER, Plan, short_text, stacked, style
from fusion.report.run_folder import FinishedRun
from fusion.report.stages import fold_text, of_first_fold

# The words that the table uses in the place of a variable.
_PROBABILITY, _INTERCEPT = "(probability)", "(intercept)"
_MAX_VARIABLES = 20  # more are not added up by hand
_N_LABEL = 26
_SIZE, _TICK_SIZE = 7.5, 6.5
_LINE_IN, _TICK_IN, _PAD_IN, _GAP_IN, _MARGIN_IN = 0.125, 0.05, 0.09, 0.06, 0.14

Ticks = Sequence[tuple[str, float]]


class Nomogram(NamedTuple):
    """What is drawn, in points: 100 are what the widest variable can add.

    Attributes:
        variables: Name → ticks as (text, points from 0 on), the widest variable first.
        total: What all variables together can add.
        probabilities: Ticks as (text, total points).
    """

    variables: Mapping[str, Ticks]
    total: float
    probabilities: Ticks


class Placed(NamedTuple):
    """A tick's label: its middle, and its line of text, counted from the axis: below it from 1, above it from -1."""

    text: str
    tick: float
    middle: float
    line: int


def plan_nomogram(run: FinishedRun) -> Plan | None:
    """The nomogram of the first fold; None where the run has no nomogram.csv."""
    if run.nomogram is None:
        return None
    title, positive = "Nomogram", run.patients.label_names[-1]
    if run.nomogram.empty:
        return Plan("nomogram", title, "", "nomogram.csv is empty.")
    rows, fold = of_first_fold(run.nomogram)
    nomogram = points_of(rows)
    if nomogram is None:
        return Plan("nomogram", title, "", "No variable adds anything: the model gives every patient one probability.")
    n = len(nomogram.variables)
    if n > _MAX_VARIABLES:
        return Plan("nomogram", title, "", f"The model adds up {n} variables: too many to do it by hand.")
    probability = (
        f"read the probability of {positive} below it"
        if nomogram.probabilities
        else "the probability is not drawn, since it rises in steps"
    )
    caption = (
        f"{fold_text(run, fold)}Find the patient’s value on each variable’s line, read its points straight above on "
        f"the first line, add the points up, find the sum on the line of total points, and {probability}. The points "
        "add up to exactly what the model gives, but for reading. A long line can matter more than a short one. "
        "[Harrell, Regression Modeling Strategies 2015, section 10.10]"
    )
    figure = draw_nomogram(nomogram, positive=positive)
    return Plan("nomogram", title, caption, figure, nomogram_table(nomogram))


def points_of(rows: pd.DataFrame) -> Nomogram | None:
    """Points from contributions to the logit; None where no variable adds anything.

    Args:
        rows: Columns ``variable, label, value`` of one fold.
    """
    grouped: dict[str, list[tuple[str, float]]] = {}
    for variable, label, value in rows[["variable", "label", "value"]].itertuples(index=False):
        grouped.setdefault(str(variable), []).append((str(label), float(value)))
    probabilities, intercepts = (grouped.pop(name, []) for name in (_PROBABILITY, _INTERCEPT))
    lows = {name: min(value for _, value in ticks) for name, ticks in grouped.items()}
    spans = {name: max(value for _, value in ticks) - lows[name] for name, ticks in grouped.items()}
    widest = max(spans.values(), default=0.0)
    if widest <= 0:
        return None
    per_logit = 100 / widest
    start = sum(lows.values()) + sum(value for _, value in intercepts)
    return Nomogram(
        variables={
            name: [(label, (value - lows[name]) * per_logit) for label, value in grouped[name]]
            for name in sorted(grouped, key=lambda name: -spans[name])
        },
        total=sum(spans.values()) * per_logit,
        probabilities=[(label, (value - start) * per_logit) for label, value in probabilities],
    )


def nomogram_table(nomogram: Nomogram) -> pd.DataFrame:
    """Points of every value, and total points of every probability; marks off the line of total points are left out."""
    values = [(name, text, points) for name, ticks in nomogram.variables.items() for text, points in ticks]
    return stacked(
        points=pd.DataFrame(values, columns=["variable", "value", "points"]),
        probability=pd.DataFrame(_reached(nomogram), columns=["probability", "points"]),
    )


def draw_nomogram(nomogram: Nomogram, *, positive: str) -> Figure:
    """Draw it, a line per variable.

    Args:
        nomogram: As :func:`points_of` gives it.
        positive: Label whose probability it is.
    """
    with style():
        figure = Figure(figsize=(PAGE_IN, 1))
        figure.set_layout_engine("none")
        names = ["Points", *nomogram.variables, "Total points", f"Probability of {positive}"]
        shown = [wrapped(name) for name in names]
        # Another renderer may set the words a little wider.
        left = 1.06 * max(text_widths(figure, shown, size=_SIZE)) + 2 * _MARGIN_IN
        edges = (left, PAGE_IN - _MARGIN_IN)
        top = _round_ticks(nomogram.total)
        reached = _reached(nomogram)
        scales = [100.0] * (1 + len(nomogram.variables)) + [top[-1]] * 2
        lines: list[Ticks] = [_numbered(range(0, 101, 10)), *nomogram.variables.values(), _numbered(top), reached]
        placed = [place(_at(ticks, edges, scale), figure, edges) for ticks, scale in zip(lines, scales, strict=True)]
        heights = [_height(labels, name) for labels, name in zip(placed, shown, strict=True)]
        figure.set_size_inches(PAGE_IN, sum(heights))
        page = figure.add_axes((0, 0, 1, 1), xlim=(0, PAGE_IN), ylim=(sum(heights), 0))  # in inches
        page.set_axis_off()
        ys, below = [], 0.0
        for labels, height in zip(placed, heights, strict=True):
            ys.append(below + _above(labels))
            below += height
        _draw_grid(page, edges, ys[0], ys[-3])
        for k, (name, ticks, scale, labels, y) in enumerate(zip(shown, lines, scales, placed, ys, strict=True)):
            is_read = k in (0, len(names) - 2, len(names) - 1)
            page.text(0, y, name, fontsize=_SIZE, va="center", weight="bold" if is_read else "normal", linespacing=1.1)
            _draw_line(page, [x for _, x in _at(ticks, edges, scale)], edges, y, is_whole=k in (0, len(names) - 2))
            _draw_labels(page, labels, y)
        return figure


def place(ticks: Ticks, figure: Figure, edges: tuple[float, float]) -> list[Placed]:
    """Places for the labels of a line in which none covers another; of numbers that crowd, some have none.

    Args:
        ticks: As (text, place in inches).
        figure: That they will be drawn in.
        edges: Of the line, in inches; no label goes further than a margin beyond them.
    """
    texts = [_shown(text) for text, _ in ticks]
    widths = text_widths(figure, texts, size=_TICK_SIZE)
    numbers = [k for k, (text, _) in enumerate(ticks) if _is_number(text)]
    words = sorted((k for k in range(len(ticks)) if k not in numbers), key=lambda k: ticks[k][1])
    taken: dict[int, list[tuple[float, float]]] = {}
    placed = []
    # A line's ends matter most; words may not be left out, and go to the next line that is free.
    ends = sorted(numbers, key=lambda k: ticks[k][1])
    for k in [*ends[:1], *ends[1:][-1:], *ends[1:-1], *words]:
        tick, half = ticks[k][1], 1.06 * widths[k] / 2
        middle = min(max(tick, edges[0] - _MARGIN_IN + half), edges[1] + _MARGIN_IN - half)
        start, end = middle - half - _GAP_IN / 2, middle + half + _GAP_IN / 2
        for line in (1,) if k in numbers else (1, *(sign * n for n in range(1, len(ticks) + 1) for sign in (-1, 1))):
            if all(end <= other_start or start >= other_end for other_start, other_end in taken.get(line, [])):
                taken.setdefault(line, []).append((start, end))
                placed.append(Placed(texts[k], tick, middle, line))
                break
    return placed


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}") if _is_number(text) else short_text(text, _N_LABEL)


def _numbered(values: Sequence[float] | range) -> Ticks:
    return [(f"{value:g}", float(value)) for value in values]


def _round_ticks(total: float) -> list[float]:
    """From 0 to at least the total."""
    return [float(value) for value in MaxNLocator(nbins=11, steps=[1, 2, 4, 5, 10]).tick_values(0, total)]


def _reached(nomogram: Nomogram) -> Ticks:
    last = _round_ticks(nomogram.total)[-1]
    return [(text, points) for text, points in nomogram.probabilities if 0 <= points <= last]


def _at(ticks: Ticks, edges: tuple[float, float], scale: float) -> Ticks:
    return [(text, edges[0] + points / scale * (edges[1] - edges[0])) for text, points in ticks]


def _above(labels: Sequence[Placed]) -> float:
    """Of a row, from its top to its line."""
    n_lines = max([-label.line for label in labels if label.line < 0], default=0)
    return _PAD_IN + _TICK_IN * (n_lines > 0) + _LINE_IN * max(n_lines, 0.4)


def _height(labels: Sequence[Placed], name: str) -> float:
    n_below = max([label.line for label in labels if label.line > 0], default=0)
    # The second line of a name goes below the line of the variable, too.
    return _above(labels) + _TICK_IN + _LINE_IN * max(n_below, 0.4 + 0.6 * name.count("\n")) + _PAD_IN


def _draw_grid(page: Axes, edges: tuple[float, float], top: float, bottom: float) -> None:
    """From the points down to the last variable, so that the eye finds its way."""
    for tenth in range(11):
        x = edges[0] + tenth / 10 * (edges[1] - edges[0])
        page.plot([x, x], [top, bottom], color=MUTED, linewidth=0.35, alpha=0.6, zorder=0)


def _draw_line(page: Axes, xs: Sequence[float], edges: tuple[float, float], y: float, *, is_whole: bool) -> None:
    """An axis from its first tick to its last, or from edge to edge."""
    if xs:
        low, high = edges if is_whole else (min(xs), max(xs))
        page.plot([low, high], [y, y], color=INK if is_whole else BLUE, linewidth=1.1, solid_capstyle="butt")
        # Those whose label is left out, too.
        page.vlines(xs, y, y + _TICK_IN, color=INK, linewidth=0.7)


def _draw_labels(page: Axes, labels: Sequence[Placed], y: float) -> None:
    for label in labels:
        side = 1 if label.line > 0 else -1
        middle = y + side * (_TICK_IN + _LINE_IN * (abs(label.line) - 0.5))
        # To the second line of text and beyond, a thin line leads behind the first.
        reach = y + side * (_TICK_IN + _LINE_IN * (abs(label.line) - 1))
        page.plot([label.tick, label.tick], [y, y + side * _TICK_IN], color=INK, linewidth=0.7)
        if abs(label.line) > 1:
            page.plot([label.tick, label.tick], [y, reach], color=MUTED, linewidth=0.5, zorder=1)
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}
        page.text(label.middle, middle, label.text, fontsize=_TICK_SIZE, ha="center", va="center", bbox=box, zorder=2)
