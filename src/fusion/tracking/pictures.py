"""ROC, calibration and confusion of inner predictions, as pictures that every tracker can show."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.evaluation.calibration import reliability_curve
from fusion.evaluation.discrimination import delong, roc_curve
from fusion.evaluation.figures import labels_of, patients_of
from fusion.evaluation.settings import Settings
from fusion.evaluation.smooth_calibration import smooth_calibration
from fusion.records import Predictions
from fusion.report.figures.calibration import draw_calibration
from fusion.report.figures.roc import Curve, Curves, draw_roc
from fusion.report.figures.style import INK, PAPER, short_text, square, style
from fusion.tracking.tracker import Picture

_DPI = 144
_N_NAME = 26


def inner_pictures(rows: Predictions, *, threshold: float, settings: Settings) -> dict[str, Picture]:
    """Pictures by name; those that the rows do not define are left out.

    Args:
        rows: Labeled inner predictions.
        threshold: From which the positive label is called; of no use with more than two labels.
        settings: Of the evaluation.
    """
    labels = labels_of(rows)
    # Without one of the labels there is neither a curve nor a share to be observed.
    if len(set(labels.tolist())) < len(rows.label_names):
        return {}
    pictures = {"roc": _roc(rows, labels, settings), "confusion": _confusion(rows, labels, threshold)}
    if len(rows.label_names) == 2:
        pictures["calibration"] = _calibration(rows, labels, settings)
    return {name: _picture(figure) for name, figure in pictures.items()}


def _roc(rows: Predictions, labels: NDArray[np.int64], settings: Settings) -> Figure:
    names = rows.label_names
    curves = []
    for k in range(1, 2) if len(names) == 2 else range(len(names)):
        labels01, scores = (labels == k).astype(np.int64), rows.probabilities[:, k]
        auc = delong(labels01, scores, level=settings.level, patients=patients_of(rows))
        name = "AUC" if len(names) == 2 else short_text(names[k], _N_NAME)
        curves.append(Curve(name, roc_curve(labels01, scores), auc.as_json()))
    return draw_roc(Curves(curves))


def _calibration(rows: Predictions, labels: NDArray[np.int64], settings: Settings) -> Figure:
    scores = rows.probabilities[:, 1]
    bins = reliability_curve(
        labels, scores, n_bins=settings.reliability_bins, level=settings.level, patients=patients_of(rows)
    )
    smooth = smooth_calibration(labels, scores)
    curve = {"predicted": smooth.predicted.tolist(), "observed": smooth.observed.tolist()}
    by_label = {name: scores[labels == k] for k, name in enumerate(rows.label_names)}
    return draw_calibration([bin_._asdict() for bin_ in bins], curve, by_label, rows.label_names[1])


def _confusion(rows: Predictions, labels: NDArray[np.int64], threshold: float) -> Figure:
    n_labels = len(rows.label_names)
    is_binary = n_labels == 2
    called = (rows.probabilities[:, 1] >= threshold).astype(np.int64) if is_binary else rows.probabilities.argmax(1)
    table = np.zeros((n_labels, n_labels), dtype=np.int64)
    np.add.at(table, (labels, called), 1)
    return draw_confusion(table, rows.label_names)


def draw_confusion(table: NDArray[np.int64], label_names: Sequence[str]) -> Figure:
    """A confusion table: true labels down, called ones across; darker is a larger share of the true label.

    Args:
        table: (K, K) rows of each true and called label.
        label_names: (K,)
    """
    names, ticks = [short_text(name, _N_NAME) for name in label_names], range(len(label_names))
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    with style():
        figure, axes = square("Called", "True")
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set(xticks=ticks, yticks=ticks, xticklabels=names, yticklabels=names)
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5))
        for (true, called), n in np.ndenumerate(table):
            axes.text(
                called, true, f"{n}", ha="center", va="center", color=PAPER if shares[true, called] > 0.5 else INK
            )
        return figure


def _picture(figure: Figure) -> Picture:
    from PIL import Image

    stream = BytesIO()
    with style():
        figure.savefig(stream, format="png", dpi=_DPI, transparent=False, facecolor="white")
    return np.asarray(Image.open(stream).convert("RGB"))
