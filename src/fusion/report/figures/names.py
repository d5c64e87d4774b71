"""Names beside what is drawn: in at most two lines, with the width that they need."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fusion.report.figures.style import short_text

N_NAME = 34  # characters of a line
_N_LINES = 2


def wrapped(name: str) -> str:
    """In at most two lines, shortened where it needs more; lines that are given stay."""
    if "\n" in name:
        return "\n".join(short_text(line, N_NAME) for line in name.split("\n"))
    n_characters = N_NAME * _N_LINES
    lines = _lines(name)
    while len(lines) > _N_LINES:
        n_characters -= 1
        lines = _lines(short_text(name, n_characters))
    return "\n".join(lines)


def text_widths(figure: Figure, texts: Sequence[str], *, size: float, weight: str = "normal") -> list[float]:
    """Of each text, in inches; the widest of its lines."""
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]  # Matplotlib has no type for it.
    widths = []
    for text in texts:
        artist = figure.text(0, 0, text, fontsize=size, weight=weight)
        widths.append(float(artist.get_window_extent(renderer).width / figure.dpi) if text else 0.0)
        artist.remove()
    return widths


def _lines(name: str) -> list[str]:
    # Names of features are one long word with underscores, which is where they may be broken.
    return [line.replace("_ ", "_") for line in textwrap.wrap(name.replace("_", "_ "), N_NAME)]
