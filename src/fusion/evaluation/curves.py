"""The curves of a report, as tables: calibration and usefulness over all thresholds."""

from __future__ import annotations

from typing import Any

from fusion.evaluation.calibration import reliability_curve
from fusion.evaluation.figures import labels_of, patients_of
from fusion.evaluation.settings import Settings
from fusion.evaluation.smooth_calibration import smooth_calibration
from fusion.evaluation.usefulness import decision_curve, impact_curve, percent_thresholds
from fusion.records import Predictions


def curves(rows: Predictions, *, settings: Settings) -> dict[str, Any]:
    """Reliability, smooth calibration, decision curve and clinical impact of labeled rows, as plain content.

    Empty with more than two labels.
    """
    if len(rows.label_names) != 2:
        return {}
    labels, scores, index = labels_of(rows), rows.probabilities[:, 1], patients_of(rows)
    bins = reliability_curve(labels, scores, n_bins=settings.reliability_bins, level=settings.level, patients=index)
    smooth = smooth_calibration(labels, scores)
    thresholds = percent_thresholds(**settings.decision_curve)
    decisions = decision_curve(labels, scores, thresholds=thresholds, patients=index, **settings.bootstrap)
    impact = impact_curve(labels, scores, thresholds=thresholds, level=settings.level, patients=index)
    return {
        "reliability": [bin_._asdict() for bin_ in bins],
        "smooth_calibration": {
            "predicted": list(map(float, smooth.predicted)),
            "observed": list(map(float, smooth.observed)),
        },
        "decision": [point.as_json() for point in decisions],
        "impact": [point.as_json() for point in impact],
    }
