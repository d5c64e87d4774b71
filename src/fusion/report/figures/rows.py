"""Named rows, and panels of them beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fusion.report.figures.names import text_widths, wrapped
from fusion.report.figures.style import PAGE_IN

_ROW_IN, _HEAD_IN, _FOOT_IN, _GAP_IN = 0.27, 0.24, 0.45, 0.26
_SIZE = 7.0


def draw_rows(
    names: Sequence[str], *, heads: Sequence[str], xlabels: Sequence[str], shares: Sequence[float]
) -> tuple[Figure, list[Axes]]:
    """A page-wide figure with the names on the left and empty panels; row k has y = k, from the top.

    Args:
        names: Of the rows.
        heads: Above each panel.
        xlabels: Below each panel.
        shares: Of the width that the names leave; the panels' parts of it, adding up to 1.
    """
    total = _HEAD_IN + _ROW_IN * len(names) + _FOOT_IN
    figure = Figure(figsize=(PAGE_IN, total))
    figure.set_layout_engine("none")
    shown = [wrapped(name) for name in names]
    # Another renderer may set the words a little wider.
    left = 1.06 * max(text_widths(figure, shown, size=_SIZE), default=0.0) + _GAP_IN
    room = PAGE_IN - left - _GAP_IN * (len(shares) - 1)
    bottom, height = _FOOT_IN / total, _ROW_IN * len(names) / total
    panels = []
    for head, xlabel, share in zip(heads, xlabels, shares, strict=True):
        width = room * share
        axes = figure.add_axes((left / PAGE_IN, bottom, width / PAGE_IN, height), ylim=(len(names) - 0.5, -0.5))
        axes.set(yticks=[], xlabel=xlabel)
        axes.set_title(head, fontsize=_SIZE, loc="left", pad=4)
        axes.spines["left"].set_visible(False)
        panels.append(axes)
        left += width + _GAP_IN
    for row, name in enumerate(shown):
        y = (_FOOT_IN + _ROW_IN * (len(names) - row - 0.5)) / total
        figure.text(0, y, name, fontsize=_SIZE, va="center", linespacing=1.05)
    return figure, panels
