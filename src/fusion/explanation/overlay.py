"""A picture of what the pixels of one case did to its prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusion.storage import atomic_path

_DPI = 100


def write_overlay(
    path: Path, *, image: NDArray[np.uint8], mask: NDArray[np.uint8], pixels: NDArray[np.float64], caption: str
) -> None:
    """Write a PNG: the crop with the lesion's contour, and beside it the same under the attribution.

    Orange speaks for the positive label, blue against it; the scale is the case's own.

    Args:
        path: Of the PNG.
        image, mask: (n_px, n_px) crop and lesion coverage, 0..255.
        pixels: (n_px, n_px) attribution, in log-odds per pixel.
        caption: Below the pictures.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from scipy.ndimage import gaussian_filter

    # Single pixels of a gradient are noise to the eye; a slight blur shows where it gathers.
    smooth = gaussian_filter(pixels, sigma=1.0)
    limit = float(np.quantile(np.abs(smooth), 0.995)) or 1.0
    colors = LinearSegmentedColormap.from_list("against-for", ["#0072B2", "#FFFFFF", "#D55E00"])
    figure = Figure(figsize=(5, 2.75), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, shows_attribution in zip(figure.subplots(1, 2), (False, True), strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        if shows_attribution:
            strength = np.clip(np.abs(smooth) / limit, 0, 1)
            axes.imshow(smooth, cmap=colors, vmin=-limit, vmax=limit, alpha=0.75 * strength)
        if mask.min() < 128 <= mask.max():
            axes.contour(mask, levels=[127.5], colors="#F0E442", linewidths=1)
        axes.set_axis_off()
    # An id may hold a dollar sign.
    figure.supxlabel(caption, fontsize=8, parse_math=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
