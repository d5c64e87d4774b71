"""Figures of a run: each function takes a table and gives a matplotlib figure."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.evaluation.calibration import ReliabilityBin, reliability_curve
from fusion.evaluation.discrimination import RocCurve, roc_curve
from fusion.report.run_folder import FinishedRun
from fusion.storage import atomic_path

# Okabe & Ito's colors, safe for the color-blind (jfly.uni-koeln.de/color), without yellow, which print loses.
BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
COLORS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
BRANCH_COLORS = {"image": BLUE, "radiomics": ORANGE, "clinical": GREEN}
# The page replaces these two, and the blue, so that figures follow its light and dark.
INK, MUTED = "#1b1f24", "#7d858f"

_WIDTH_IN = 3.5  # one journal column
_N_BINS = 10
_N_FEATURES = 20
_MAX_POINTS = 600
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
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.parse_math": False,  # a center may be named "$x$"
    "svg.fonttype": "none",
    "svg.hashsalt": "fusion",
    "savefig.transparent": True,
    "figure.constrained_layout.use": True,
}

Estimate = Mapping[str, Any]


class Curve(NamedTuple):
    """An ROC curve with its name and the AUC that metrics.json gives it."""

    name: str
    curve: RocCurve
    auc: Estimate


class Drawing(NamedTuple):
    """A figure's file, or the reason why there is none."""

    name: str
    title: str
    caption: str
    path: Path | None
    absent: str | None


def write_figures(run: FinishedRun) -> dict[str, Drawing]:
    """Write ``figures/<name>.svg`` for every figure that the run has the numbers for; the same run, the same bytes."""
    drawings = {}
    for name, title, caption, made in _figures(run):
        if isinstance(made, str):
            (run.path / "figures" / f"{name}.svg").unlink(missing_ok=True)
            drawings[name] = Drawing(name, title, caption, None, made)
            continue
        path = run.path / "figures" / f"{name}.svg"
        with atomic_path(path) as temporary, _style():
            made.savefig(temporary, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        drawings[name] = Drawing(name, title, caption, path, None)
    return drawings


def draw_roc(curves: Sequence[Curve], operating_point: tuple[Estimate, Estimate] | None) -> Figure:
    """ROC curves; the interval of each AUC stands in its label.

    Args:
        curves: The first is drawn strongest.
        operating_point: Sensitivity and specificity at the frozen threshold, drawn with their intervals.
    """
    with _style():
        figure, axes = _square("1 − specificity", "Sensitivity")
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)))
        for k, (name, curve, auc) in enumerate(curves):
            axes.plot(
                curve.false_positive_rate,
                curve.true_positive_rate,
                color=COLORS[k % len(COLORS)],
                linewidth=1.6 if k == 0 else 1.1,
                label=f"{name}: {interval_text(auc)}",
            )
        if operating_point is not None:
            _operating_point(axes, *operating_point)
        # The lower right corner is where a curve better than chance never goes.
        axes.legend(loc="lower right", frameon=False, fontsize=6.5, handlelength=1.2, borderaxespad=0.1)
        return figure


def draw_reliability(table: Sequence[ReliabilityBin], positive: str) -> Figure:
    """Observed share of the positive label against its mean probability."""
    with _style():
        figure, axes = _square(f"Predicted probability of {positive}", f"Observed share of {positive}")
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)))
        x, y = [row.predicted for row in table], [row.observed for row in table]
        axes.vlines(x, [row.ci_low for row in table], [row.ci_high for row in table], color=BLUE, linewidth=0.9)
        axes.plot(x, y, "o-", color=BLUE, markersize=3.5, linewidth=1)
        return figure


def draw_distribution(
    probabilities: Mapping[str, NDArray[np.float64]], positive: str, thresholds: Sequence[float]
) -> Figure:
    """Histogram of the positive label's probability, a row per label, with the frozen thresholds."""
    with _style():
        figure = Figure(figsize=(_WIDTH_IN, 1.1 * len(probabilities) + 0.7))
        rows = figure.subplots(len(probabilities), 1, sharex=True, squeeze=False)[:, 0]
        for k, (axes, (label, values)) in enumerate(zip(rows, probabilities.items(), strict=True)):
            axes.hist(values, bins=np.linspace(0, 1, 21), color=COLORS[k], linewidth=0)
            axes.set_title(f"{label} (n = {len(values)})", loc="left", fontsize=8, color=INK)
            axes.set_ylabel("Patients")
            axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
            for threshold in thresholds:
                axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
        if thresholds:
            name = "frozen threshold" if len(thresholds) == 1 else "frozen thresholds of the folds"
            is_right = np.mean(thresholds) > 0.5
            text = rows[0].annotate(
                name,
                (min(thresholds) if is_right else max(thresholds), 1.0),
                (-4 if is_right else 4, 0),
                xycoords=rows[0].get_xaxis_transform(),
                textcoords="offset points",
                ha="right" if is_right else "left",
                va="top",
                fontsize=6.5,
            )
            text.set_in_layout(False)
        rows[-1].set(xlim=(0, 1), xlabel=f"Predicted probability of {positive}")
        return figure


def draw_gates(gates: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Each branch's share in the decision: a box with every case as a point, where these are few enough to see."""
    with _style():
        figure = Figure(figsize=(_WIDTH_IN, 0.55 * len(gates) + 0.6))
        axes = figure.subplots()
        lines: dict[str, Any] = {f"{name}props": {"color": INK, "linewidth": 0.8} for name in ("box", "whisker", "cap")}
        lines["medianprops"] = {"color": INK, "linewidth": 1.6}
        for row, (branch, values) in enumerate(gates.items()):
            color = BRANCH_COLORS.get(branch, PURPLE)
            if len(values) <= _MAX_POINTS:
                axes.scatter(values, row + _jitter(len(values)), s=3, color=color, alpha=0.45, linewidths=0)
            axes.boxplot(
                [values],
                positions=[row],
                orientation="horizontal",
                widths=0.62,
                showfliers=False,
                manage_ticks=False,
                **lines,
            )
        axes.set_yticks(range(len(gates)), list(gates), fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1), ylim=(len(gates) - 0.5, -0.5), xlabel="Gate (share of the decision)")
        return figure


def draw_ranking(ranking: pd.DataFrame, xlabel: str) -> Figure:
    """Horizontal bars from (``name``, ``strength``, ``note``), the names above their bars: they are long."""
    with _style():
        n_rows = len(ranking)
        figure = Figure(figsize=(_WIDTH_IN, 0.27 * n_rows + 0.55))
        axes = figure.subplots()
        rows = np.arange(n_rows)
        axes.barh(rows, ranking["strength"], height=0.28, color=BLUE, linewidth=0)
        top = float(ranking["strength"].max())
        for row, (name, strength, note) in enumerate(ranking[["name", "strength", "note"]].itertuples(index=False)):
            axes.text(0, row - 0.24, name, fontsize=6.5, va="bottom")
            axes.text(strength + 0.015 * top, row, note, fontsize=6, va="center", color=MUTED)
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        axes.set(ylim=(n_rows - 0.6, -0.9), xlim=(0, 1.25 * top), xlabel=xlabel)
        return figure


def rank_features(features: pd.DataFrame, n_folds: int) -> pd.DataFrame:
    """The surviving features by mean absolute weight over all folds, a fold without the feature counting 0.

    Args:
        features: Columns ``fold, feature, weight``.
        n_folds: Of the run.

    Returns:
        Columns ``name, strength, n_folds, note``, the strongest first.
    """
    survived = features[features["weight"] != 0]
    grouped = survived.assign(strength=survived["weight"].abs()).groupby("feature", sort=True)
    table = grouped.agg(strength=("strength", "sum"), n_folds=("fold", "nunique")).reset_index()
    table = table.assign(
        strength=table["strength"] / n_folds,
        note=[f"{count} of {n_folds} folds" if n_folds > 1 else "" for count in table["n_folds"]],
    )
    ranked = table.rename(columns={"feature": "name"}).sort_values(["strength", "name"], ascending=[False, True])
    return ranked.reset_index(drop=True)


def rank_attributions(attributions: pd.DataFrame) -> pd.DataFrame:
    """Inputs by mean absolute attribution over cases: columns ``name, strength, note``, the strongest first."""
    strengths = attributions.assign(strength=attributions["value"].abs()).groupby("name")["strength"].mean()
    table = strengths.reset_index().assign(note="")
    return table.sort_values(["strength", "name"], ascending=[False, True]).reset_index(drop=True)


def interval_text(estimate: Estimate) -> str:
    """``0.874 (0.801 to 0.930)``."""
    if estimate["value"] is None:
        return "not defined"
    return f"{estimate['value']:.3f} ({estimate['ci_low']:.3f} to {estimate['ci_high']:.3f})"


def _figures(run: FinishedRun) -> Iterator[tuple[str, str, str, Figure | str]]:
    """Name, title, caption, and the figure or why there is none."""
    yield (
        "roc",
        "ROC curve, test patients",
        "How many of the positive patients are found (up) at the price of how many false alarms (right). The dashed "
        "line is chance; the cross is the frozen threshold, with its intervals. AUC with its interval in the label.",
        _roc(run),
    )
    yield (
        "roc_centers",
        "ROC curve by center",
        "The same for the test patients of each center alone.",
        _roc_centers(run),
    )
    yield (
        "reliability",
        "Are the probabilities true?",
        "Test patients in groups of similar predicted probability: on the dashed line as many have the label as "
        "predicted. Bars are Wilson's intervals.",
        _reliability(run),
    )
    yield (
        "distribution",
        "Predicted probability by label",
        "Where the two histograms overlap the model cannot tell the patients apart.",
        _distribution(run),
    )
    yield (
        "gates",
        "What each branch contributed",
        "The gate is the weight that the network gave a branch in a case; the gates of a case add up to 1. A point is "
        "a case, the box the middle half.",
        _gates(run),
    )
    yield (
        "features",
        "Radiomics features that survived",
        "Mean absolute weight over the folds, 0 where a feature did not survive; the strongest "
        f"{_N_FEATURES}. A feature that survives in few folds is a matter of chance.",
        _features(run),
    )
    for branch in ("radiomics", "clinical"):
        yield (
            f"attribution_{branch}",
            f"Attribution of the {branch} inputs",
            f"Mean absolute attribution over the explained cases; the strongest {_N_FEATURES}.",
            _attribution(run, branch),
        )


def _roc(run: FinishedRun) -> Figure | str:
    test = run.test
    if len(set(test.labels)) < len(test.label_names):
        return "The labeled test patients do not have all labels."
    metrics = run.metrics["test"]
    if len(test.label_names) == 2:
        curve = roc_curve(_is(test.labels, test.label_names[1]), test.probabilities[:, 1])
        return draw_roc([Curve("AUC", curve, metrics["auc"])], (metrics["sensitivity"], metrics["specificity"]))
    curves = [
        Curve(name, roc_curve(_is(test.labels, name), test.probabilities[:, k]), metrics[f"auc_{name}"])
        for k, name in enumerate(test.label_names)
    ]
    return draw_roc(curves, None)


def _roc_centers(run: FinishedRun) -> Figure | str:
    test = run.test
    if len(test.label_names) > 2:
        return "It needs an outcome of two labels; the table has the figures of each center."
    if len(set(test.centers)) < 2:
        return "The test patients come from one center."
    curves = []
    for center, n in sorted(pd.Series(test.centers).value_counts().items(), key=lambda item: (-item[1], item[0])):
        part = test.select(other == center for other in test.centers)
        if len(set(part.labels)) == 2:
            curve = roc_curve(_is(part.labels, part.label_names[1]), part.probabilities[:, 1])
            curves.append(Curve(f"{center} (n = {n})", curve, run.metrics["centers"][center]["auc"]))
    if not curves:
        return "No center has test patients of both labels."
    # More curves than colors cannot be told apart; the table has every center.
    return draw_roc(curves[: len(COLORS)], None)


def _reliability(run: FinishedRun) -> Figure | str:
    test = run.test
    if len(test.label_names) > 2 or not test.labels:
        return "It needs labeled test patients and an outcome of two labels."
    positive = test.label_names[1]
    n_bins = min(_N_BINS, max(3, len(test.labels) // 15))
    table = reliability_curve(_is(test.labels, positive), test.probabilities[:, 1], n_bins=n_bins, level=run.level)
    return draw_reliability(table, positive)


def _distribution(run: FinishedRun) -> Figure | str:
    test = run.test
    if len(test.label_names) > 2 or not test.labels:
        return "It needs labeled test patients and an outcome of two labels."
    by_label = {name: test.probabilities[_is(test.labels, name) == 1, 1] for name in test.label_names}
    thresholds = [value for fold, value in sorted(run.thresholds.items()) if fold in test.folds]
    return draw_distribution(by_label, test.label_names[1], thresholds)


def _gates(run: FinishedRun) -> Figure | str:
    if run.gates is None:
        return "The run has no attributions/branches.csv: its head has no gates, or nothing was explained."
    columns = {name.removeprefix("gate_"): run.gates[name].dropna() for name in run.gates if name.startswith("gate_")}
    gates = {branch: values.to_numpy(dtype=np.float64) for branch, values in columns.items() if len(values)}
    return draw_gates(gates) if gates else "attributions/branches.csv holds no gate: the head has none."


def _features(run: FinishedRun) -> Figure | str:
    if run.features is None:
        return "The run has no features.csv: it has no radiomics branch."
    ranking = rank_features(run.features, run.n_folds)
    if ranking.empty:
        return "No radiomics feature survived the L1 penalty in any fold."
    return draw_ranking(ranking.head(_N_FEATURES), "Mean absolute weight")


def _attribution(run: FinishedRun, branch: str) -> Figure | str:
    if branch not in run.attributions or run.attributions[branch].empty:
        return f"The run has no attributions of the {branch} inputs (attributions/{branch}.csv)."
    return draw_ranking(rank_attributions(run.attributions[branch]).head(_N_FEATURES), "Mean absolute attribution")


def _square(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN))
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    return figure, axes


def _operating_point(axes: Axes, sensitivity: Estimate, specificity: Estimate) -> None:
    if sensitivity["value"] is None or specificity["value"] is None:
        return
    x, y = 1 - specificity["value"], sensitivity["value"]
    axes.plot([x, x], [sensitivity["ci_low"], sensitivity["ci_high"]], color=INK, linewidth=0.8)
    axes.plot([1 - specificity["ci_high"], 1 - specificity["ci_low"]], [y, y], color=INK, linewidth=0.8)
    axes.plot([x], [y], "o", color=INK, markersize=3.5)
    axes.annotate("frozen threshold", (x, y), (8, -14), textcoords="offset points", fontsize=6.5)


def _jitter(n: int) -> NDArray[np.float64]:
    """Evenly spread and always the same (the golden-ratio sequence), within ±0.25."""
    return np.asarray((np.arange(n) * 0.6180339887498949 % 1 - 0.5) * 0.5, dtype=np.float64)


def _is(labels: Sequence[str], name: str) -> NDArray[np.int64]:
    return np.array([label == name for label in labels], dtype=np.int64)


@contextmanager
def _style() -> Iterator[None]:
    with rc_context(_STYLE), warnings.catch_warnings():
        # Text stays text: a glyph that the layout's font lacks is drawn by the reader's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield
