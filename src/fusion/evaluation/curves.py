"""The curves of a report, as tables: calibration and usefulness over all thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.calibration import reliability_curve
from fusion.evaluation.figures import labels_of, patients_of
from fusion.evaluation.settings import Settings
from fusion.evaluation.smooth_calibration import smooth_calibration
from fusion.evaluation.usefulness import decision_curve, impact_curve, percent_thresholds
from fusion.records import Predictions


def curves(rows: Predictions, *, settings: Settings) -> dict[str, Any]:
    """Reliability, smooth calibration, decision curve and clinical impact of labeled rows, as plain content.

    With more than two labels those of each against the rest: ``{"by_label": {label: {"reliability", …}}}``.
    """
    labels, index = labels_of(rows), patients_of(rows)
    if len(rows.label_names) == 2:
        return _of_label(labels, rows.probabilities[:, 1], index, settings)
    one_vs_rest = {
        name: _of_label((labels == k).astype(np.int64), rows.probabilities[:, k], index, settings)
        for k, name in enumerate(rows.label_names)
    }
    return {"by_label": one_vs_rest}


def _of_label(
    labels01: NDArray[np.int64], scores: NDArray[np.float64], index: NDArray[np.int64], settings: Settings
) -> dict[str, Any]:
    bins = reliability_curve(labels01, scores, n_bins=settings.reliability_bins, level=settings.level, patients=index)
    smooth = smooth_calibration(labels01, scores)
    thresholds = percent_thresholds(**settings.decision_curve)
    decisions = decision_curve(labels01, scores, thresholds=thresholds, patients=index, **settings.bootstrap)
    impact = impact_curve(labels01, scores, thresholds=thresholds, level=settings.level, patients=index)
    return {
        "reliability": [bin_._asdict() for bin_ in bins],
        "smooth_calibration": {
            "predicted": list(map(float, smooth.predicted)),
            "observed": list(map(float, smooth.observed)),
        },
        "decision": [point.as_json() for point in decisions],
        "impact": [point.as_json() for point in impact],
    }
