"""A picture of what the pixels of one case did to its prediction."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fusion.storage import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_DPI = 100
_PANEL_INCHES = 2.4
_TITLE_INCHES = 0.7
# Of a note below a panel, and how many characters fit into one.
_LINE_INCHES = 0.13
_NOTE_CHARACTERS = 46
_CONTOUR = "#F0E442"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One explanation of the picture's case.

    Attributes:
        title: Above it.
        values: (n_px, n_px), above 0 for the positive label.
        note: Below it, wrapped.
    """

    title: str
    values: NDArray[np.float64]
    note: str


def write_panels(
    path: Path,
    *,
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    panels: Sequence[Panel],
    positive: str,
    caption: str,
) -> None:
    """Write a PNG: the crop with the lesion's contour, and beside it the same under each explanation.

    Orange speaks for the positive label, blue against it; each explanation has a scale of its own.

    Args:
        path: Of the PNG.
        image, mask: (n_px, n_px) crop and lesion coverage, 0..255.
        panels: The explanations.
        positive: Name of the positive label.
        caption: Above the pictures.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_panels, notes = len(panels) + 1, [textwrap.wrap(panel.note, _NOTE_CHARACTERS) for panel in panels]
    height = _PANEL_INCHES + _TITLE_INCHES + _LINE_INCHES * max(3, *(len(lines) for lines in notes))
    figure = Figure(figsize=(_PANEL_INCHES * n_panels, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    plain, *explained = figure.subplots(1, n_panels, squeeze=False)[0]
    _draw_crop(plain, image, mask, "Ultrasound\nlesion outlined")
    for axes, panel, lines in zip(explained, panels, notes, strict=True):
        _draw_crop(axes, image, mask, panel.title)
        _draw_values(axes, panel.values)
        axes.set_xlabel("\n".join(lines), fontsize=7, loc="left")
    _draw_scale(figure, plain, positive)
    # An id may hold a dollar sign.
    figure.suptitle(caption, fontsize=9, x=0.01, ha="left", parse_math=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _draw_crop(axes: Axes, image: NDArray[np.uint8], mask: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    if mask.min() < 128 <= mask.max():
        axes.contour(mask, levels=[127.5], colors=_CONTOUR, linewidths=1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=8, loc="left")


def _draw_values(axes: Axes, values: NDArray[np.float64]) -> None:
    from scipy.ndimage import gaussian_filter

    # Single pixels of a gradient are noise to the eye; a slight blur, 1 px in 96, shows where it gathers.
    smooth = gaussian_filter(values, sigma=len(values) / 96)
    limit = float(np.quantile(np.abs(smooth), 0.995)) or 1.0
    strength = np.clip(np.abs(smooth) / limit, 0, 1)
    axes.imshow(smooth, cmap=_colors(), vmin=-limit, vmax=limit, alpha=0.75 * strength)


def _draw_scale(figure: Figure, axes: Axes, positive: str) -> None:
    from matplotlib.cm import ScalarMappable

    # Beside the axes, not taken off them: the pictures are of one size.
    strip = axes.inset_axes((0, -0.07, 1, 0.03))
    bar = figure.colorbar(ScalarMappable(cmap=_colors()), cax=strip, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.set_ticks([0, 1], labels=["against", f"for {positive}"], fontsize=7)
    for label, side in zip(bar.ax.get_xticklabels(), ("left", "right"), strict=True):
        label.set(horizontalalignment=side, parse_math=False)
    bar.ax.tick_params(length=0)


def _colors() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("against-for", ["#0072B2", "#FFFFFF", "#D55E00"])
