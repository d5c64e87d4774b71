"""Every run of a sweep as a line through its values, to its inner score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.report.figures.style import BLUE, INK, MUTED, ORANGE, PAGE_IN, PAPER, PURPLE, Plan, short_text, style

# More axes than these have no room for their names.
_MOST_AXES = 9
# More values than these are a scale where they are numbers.
_MOST_VALUES = 8
_MOST_TEXTS = 16
_N_CHARACTERS = 110  # of all names side by side
# Of numbers that are even on a plain scale a tenth is there, of those that are even in their logarithm most.
_MOST_LOWEST = 0.3
# Lines that go through the same value are fanned out by this part of the room around it, in the order of their scores.
_FAN = 0.45
# From low to high, each with enough contrast to white and to black.
_SCALE = LinearSegmentedColormap.from_list("scores", [ORANGE, PURPLE, BLUE])


class Axis(NamedTuple):
    """One swept value of all runs.

    Attributes:
        places: (N,) of the runs, from 0 to 1.
        ticks: What stands at which place.
    """

    places: NDArray[np.float64]
    ticks: Sequence[tuple[float, str]]


def plan_parallel_coordinates(runs: Sequence[Mapping[str, Any]], swept: Sequence[str]) -> Plan:
    """The ranked runs.

    Args:
        runs: The best first, each with its ``values`` by key and ``inner``.
        swept: Keys in which they differ.
    """
    caption = (
        "A line is a run: from left to right it goes through its values to its inner AUC, which also gives its color; "
        "the thick one is the chosen run. Runs with the same value are fanned out there by their score, the best on "
        "top. Runs that were given up, failed or cannot be ranked are not drawn."
    )
    name, title = "parallel_coordinates", "Every run, from its values to its inner score"
    if len(runs) < 2 or not swept:
        return Plan(name, title, caption, "It takes two ranked runs that differ in a value.")
    if len(swept) > _MOST_AXES:
        too_many = f"{len(swept)} values are too many for a picture; the table has them all."
        return Plan(name, title, caption, too_many)
    scores = np.array([run["inner"]["auc"] for run in runs])
    columns = {key: [run["values"].get(key, "–") for run in runs] for key in swept}
    figure = draw_parallel_coordinates({key: axis_of(texts, scores) for key, texts in columns.items()}, scores)
    return Plan(name, title, caption, figure, pd.DataFrame({**columns, "inner_auc": scores}))


def axis_of(texts: Sequence[str], scores: NDArray[np.float64]) -> Axis:
    """Few values and words in their order, evenly spaced; many numbers on a scale, logarithmic where they span decades.

    Args:
        texts: (N,) the value of each run.
        scores: (N,) that fan out runs of the same value.
    """
    numbers = _numbers(texts)
    distinct = list(dict.fromkeys(texts)) if numbers is None else sorted(set(texts), key=float)
    if numbers is None or len(distinct) <= _MOST_VALUES:
        return _steps(texts, distinct, scores)
    low, high = min(numbers), max(numbers)
    is_log = _is_logarithmic(numbers)
    scale = [math.log10(number) for number in numbers] if is_log else numbers
    start, end = min(scale), max(scale)
    marks = _decades(start, end) if is_log else _even(low, high)
    return Axis(
        np.array([(value - start) / (end - start) for value in scale]),
        [((mark - start) / (end - start), f"{10**mark:g}" if is_log else f"{mark:g}") for mark in marks],
    )


def draw_parallel_coordinates(axes_by_key: Mapping[str, Axis], scores: NDArray[np.float64]) -> Figure:
    """Draw the runs, the worst first, so that the best lie on top.

    Args:
        axes_by_key: From left to right.
        scores: (N,) the best first; at the right end.
    """
    low, high = float(scores.min()), float(scores.max())
    spread = high - low or 1.0
    heights = (scores - low) / spread if high > low else np.full(len(scores), 0.5)
    with style():
        figure = Figure(figsize=(PAGE_IN, 3.4))
        axes = figure.subplots()
        places = np.stack([*(axis.places for axis in axes_by_key.values()), heights])
        for row in range(len(scores))[::-1]:
            width, alpha = (2.4, 1.0) if row == 0 else (1.0, 0.75)
            color = to_hex(_SCALE(heights[row]))
            axes.plot(np.arange(len(places)), places[:, row], color=color, linewidth=width, alpha=alpha)
        for x, axis in enumerate(axes_by_key.values()):
            _draw_axis(axes, x, axis.ticks)
        ends = [(heights[-1], f"{low:.3f}"), (heights[0], f"{high:.3f}")] if high > low else [(0.5, f"{high:.3f}")]
        _draw_axis(axes, len(axes_by_key), ends)
        n_characters = max(10, _N_CHARACTERS // len(places))
        names = [*(short_text(key, n_characters) for key in axes_by_key), "inner AUC"]
        axes.set_xticks(range(len(places)), names)
        axes.xaxis.tick_top()
        axes.tick_params(axis="x", length=0)
        axes.set(ylim=(-0.06, 1.06), xlim=(-0.15, len(places) - 0.6), yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return figure


def _steps(texts: Sequence[str], distinct: Sequence[str], scores: NDArray[np.float64]) -> Axis:
    room = 1 / len(distinct)
    places = np.empty(len(texts))
    for number, value in enumerate(distinct):
        rows = np.array([row for row, text in enumerate(texts) if text == value])
        # The best on top, also where scores are equal.
        fan = np.empty(len(rows))
        fan[np.argsort(scores[rows], kind="stable")] = np.arange(len(rows)) - (len(rows) - 1) / 2
        places[rows] = (number + 0.5 + _FAN * fan / max(len(rows), 2)) * room
    shown = [] if len(distinct) > _MOST_TEXTS else [((i + 0.5) * room, text) for i, text in enumerate(distinct)]
    return Axis(places, shown)


def _draw_axis(axes: Axes, x: int, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([x, x], [0, 1], color=INK, linewidth=0.8)
    for y, text in ticks:
        axes.plot([x - 0.015, x + 0.015], [y, y], color=MUTED, linewidth=0.8)
        written = axes.annotate(
            short_text(text, 22), (x, y), (5, 0), textcoords="offset points", ha="left", va="center", fontsize=6.5
        )
        # Lines run behind the text.
        written.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.8})


def _numbers(texts: Sequence[str]) -> list[float] | None:
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _is_logarithmic(numbers: Sequence[float]) -> bool:
    """Whether many lie in the lowest tenth of the scale, where they could not be told apart."""
    n_lowest = sum(number < max(numbers) / 10 for number in numbers)
    return min(numbers) > 0 and n_lowest > _MOST_LOWEST * len(numbers)


def _decades(start: float, end: float) -> list[float]:
    whole = [float(power) for power in range(math.ceil(start), math.floor(end) + 1)]
    return whole if len(whole) > 1 else [start, end]


def _even(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [float(mark) for mark in MaxNLocator(4).tick_values(low, high) if low <= mark <= high]
