"""What all figures share: colors, sizes, the journal's column, and the text of an estimate."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe & Ito's colors, safe for the color-blind (jfly.uni-koeln.de/color), without yellow, which print loses. In gray
# some of them are alike, so that what shares axes differs by its line, its marker or its place as well.
BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
COLORS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
BRANCH_COLORS = {"image": BLUE, "radiomics": ORANGE, "clinical": GREEN}
# The page replaces these three, and the blue, so that figures follow its light and dark.
INK, MUTED, PAPER = "#1b1f24", "#7d858f", "#fefefe"
COLUMN_IN = 3.5  # 88.9 mm, one column of a journal
PAGE_IN = 7.0  # 177.8 mm, two
DASHED: Any = (0, (4, 3))
# As many as colors; the dashed line of chance is none of them.
LINES: Sequence[Any] = (
    "solid",
    (0, (7, 1.2)),
    (0, (1.2, 1)),
    (0, (7, 1.2, 1.2, 1.2)),
    (0, (3, 1)),
    (0, (7, 1.2, 1.2, 1.2, 1.2, 1.2)),
)

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    # The bundled font first, so that the layout is the same everywhere; the others are for the reader's machine.
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 6.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.parse_math": False,  # a center may be named "$x$"
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # TrueType, embedded: journals refuse the other kind
    "svg.hashsalt": "fusion",
    "savefig.transparent": True,
    "figure.constrained_layout.use": True,
}

Estimate = Mapping[str, Any]


class Plan(NamedTuple):
    """What is to be drawn.

    Attributes:
        name: Of the file, without suffix.
        title: Above it on the page.
        caption: What it shows, which direction is good, how the interval was made.
        figure: The figure, or the reason why there is none.
        table: The numbers that are drawn; None where nothing is. It holds no patient's id.
    """

    name: str
    title: str
    caption: str
    figure: Figure | str
    table: pd.DataFrame | None = None


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in the house style."""
    with rc_context(_STYLE), warnings.catch_warnings():
        # Text stays text: a glyph that the layout's font lacks is drawn by the reader's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def square(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    """A figure of one column whose axes both go from 0 to 1."""
    figure = Figure(figsize=(COLUMN_IN, COLUMN_IN))
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    return figure, axes


def stacked(**parts: pd.DataFrame) -> pd.DataFrame:
    """Tables below each other, each row with the name of its own under ``series``; a column that one lacks is empty."""
    named = [table.assign(series=name.replace("_", " ")) for name, table in parts.items() if len(table)]
    table = pd.concat([part.dropna(axis="columns", how="all") for part in named], ignore_index=True)
    # Counts stay whole numbers beside empty cells.
    return table[["series", *(name for name in table.columns if name != "series")]].convert_dtypes()


def estimate_table(estimates: Sequence[Estimate], **columns: Sequence[Any]) -> pd.DataFrame:
    """Columns of a figure beside ``value``, ``ci_low`` and ``ci_high``; what is not defined is empty."""
    return pd.DataFrame({**columns, **{key: column(estimates, key) for key in ("value", "ci_low", "ci_high")}})


def interval_text(estimate: Estimate, digits: int = 3) -> str:
    """``0.874 (0.801 to 0.930)``; ``not defined``; the value alone where there is no interval."""
    if estimate["value"] is None:
        return "not defined"
    text = number_text(estimate["value"], digits)
    if estimate["ci_low"] is None or estimate["ci_high"] is None:
        return text
    return f"{text} ({number_text(estimate['ci_low'], digits)} to {number_text(estimate['ci_high'], digits)})"


def number_text(value: float, digits: int) -> str:
    """The number with a true minus sign, and never ``−0.00``."""
    text = f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.removeprefix("-")


def short_text(text: str, n_characters: int) -> str:
    """The text, or its beginning and its end: long names often differ in the end alone."""
    if len(text) <= n_characters:
        return text
    n_end = (n_characters - 1) * 2 // 5
    return f"{text[: n_characters - 1 - n_end].rstrip()}…{text[-n_end:].lstrip()}"


def auc_interval_text(*, is_binary: bool) -> str:
    """How the interval of an AUC was made; with more than two labels it is the mean of the one-vs-rest AUCs."""
    return "DeLong, logit scale" if is_binary else "a bootstrap of patients"


def percent_text(share: float, digits: int = 0) -> str:
    """``95 %``, with a space that does not break."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def column(estimates: Sequence[Estimate], key: str) -> NDArray[np.float64]:
    """One key of every estimate, NaN where it is undefined: matplotlib leaves a gap there."""
    return np.array([np.nan if estimate[key] is None else estimate[key] for estimate in estimates], dtype=np.float64)
