"""How far the cases of another cohort lie from the training cases of the models that are applied to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.report.figures.style import BRANCH_COLORS, COLUMN_IN, DASHED, INK, Plan, style
from fusion.report.run_folder import FinishedRun

_EDGES = np.linspace(0, 1, 21)
_TITLES = {"image": "What the network makes of the image", "radiomics": "Radiomics features"}


def plan_distances(run: FinishedRun) -> Plan | None:
    """The histogram of the cases' percentiles, a row per branch; None where nothing was measured."""
    if run.distances is None or run.distances.empty:
        return None
    by_branch = run.distances.groupby("branch")["percentile"]
    percentiles = {str(branch): values.to_numpy(dtype=np.float64) for branch, values in by_branch}
    of = "image and model" if run.n_models > 1 else "image"
    caption = (
        f"Of each {of}, the share of the training cohort’s own images that the distance was not fitted to and that lie "
        "nearer to the training images. Were the images of one kind, the bars would follow the dashed line; a tall bar "
        "at the right is images that the models know nothing like. Distances are Mahalanobis’ [Lee et al., NeurIPS "
        "2018]. A far image need not be misjudged, and a near one may be."
    )
    title = "How far the images lie from those of training"
    return Plan("distances", title, caption, draw_distances(percentiles), distances_table(percentiles))


def draw_distances(percentiles: dict[str, NDArray[np.float64]]) -> Figure:
    """A histogram per branch, as shares, with what would be expected of images of one kind.

    Args:
        percentiles: (N,) by branch, 0 to 1.
    """
    with style():
        figure = Figure(figsize=(COLUMN_IN, 1.25 * len(percentiles) + 0.6))
        rows = figure.subplots(len(percentiles), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (branch, values) in zip(rows, percentiles.items(), strict=True):
            _draw(axes, branch, values)
        rows[-1].set(xlim=(0, 1), xlabel="Share of the training cohort’s own images that lie nearer")
        return figure


def distances_table(percentiles: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
    """A row per bar."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "branch": branch,
                    "percentile_low": _EDGES[:-1],
                    "percentile_high": _EDGES[1:],
                    "share": _shares(values),
                    "expected": 1 / (len(_EDGES) - 1),
                }
            )
            for branch, values in percentiles.items()
        ],
        ignore_index=True,
    )


def _draw(axes: Axes, branch: str, values: NDArray[np.float64]) -> None:
    axes.stairs(_shares(values), _EDGES, fill=True, color=BRANCH_COLORS[branch], linewidth=0)
    axes.axhline(1 / (len(_EDGES) - 1), color=INK, linewidth=0.8, linestyle=DASHED)
    axes.set_title(_TITLES[branch], loc="left", fontsize=8, color=INK)
    axes.set_ylabel("Share of images")
    axes.set_ylim(bottom=0)


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.histogram(values, _EDGES)[0] / len(values)
    return shares
