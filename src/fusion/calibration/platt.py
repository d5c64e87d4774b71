"""Logistic recalibration (Platt scaling)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fusion.calibration.calibrator import Calibrator
from fusion.calibration.logistic import bounded_logit, fit_logistic
from fusion.calibration.one_vs_rest import joined, one_vs_rest

_log = logging.getLogger(__name__)
# A softmax in float32 tells 1 - 6e-8 from 1.
_NEAREST_TO_CERTAIN = 1e-8
# Between the least and the most certain probability this slope moves the logit by 0.4.
_LOWEST_SLOPE = 0.01
_SAME_LOGIT = 1e-6


@dataclass(frozen=True)
class Platt(Calibrator):
    """expit(intercept + slope logit(p)); with more than two labels one-vs-rest, renormalized.

    Platt (Advances in Large Margin Classifiers 1999:61-74), on the logit of the probability, where an intercept of 0
    and a slope of 1 change nothing. No penalty; the targets are Platt's (n+ + 1) / (n+ + 2) and 1 / (n- + 2) in place
    of 1 and 0, with patients counted, so that a perfectly separated inner part gives a finite slope.

    The map never turns the order around: a slope below 0.01 (inner predictions no better than chance, or worse) is held
    at 0.01, with the intercept that then fits best. All probabilities are then near the prevalence, in the model's own
    order; a warning is logged. Where all inner probabilities are equal the slope is 1.

    Attributes:
        intercepts, slopes: One of the positive label with two labels, else one per label.
    """

    name: ClassVar[str] = "platt"
    intercepts: tuple[float, ...]
    slopes: tuple[float, ...]

    @classmethod
    def fit(cls, labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        lines = [_line(labels01, p, weights) for labels01, p in one_vs_rest(labels, probabilities)]
        return cls(tuple(intercept for intercept, _ in lines), tuple(slope for _, slope in lines))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(tuple(state["intercepts"]), tuple(state["slopes"]))

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        logits = bounded_logit(probabilities[:, -len(self.slopes) :], _NEAREST_TO_CERTAIN)
        return joined(list(expit(logits * self.slopes + self.intercepts).T))

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "intercepts": list(self.intercepts), "slopes": list(self.slopes)}


def _line(
    labels01: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Intercept and slope."""
    n_positive = float(weights[labels01 == 1].sum())
    n_negative = float(weights[labels01 == 0].sum())
    targets = np.where(labels01 == 1, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    logits = bounded_logit(probabilities, _NEAREST_TO_CERTAIN)
    slope = _slope(logits, targets, weights)
    if slope < _LOWEST_SLOPE:
        _log.warning("platt: a slope of %.3f on the inner predictions is held at %.2f", slope, _LOWEST_SLOPE)
        slope = _LOWEST_SLOPE
    # The best intercept of the best slope is that of the fit of both.
    ones = np.ones((len(logits), 1))
    return float(fit_logistic(ones, targets, offset=slope * logits, weights=weights)[0]), slope


def _slope(logits: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    spread = float(np.ptp(logits))
    if spread < _SAME_LOGIT:
        return 1.0
    # Standardized, so that the optimizer's steps suit probabilities that lie close together.
    standardized = (logits - logits.mean()) / spread
    X = np.stack([np.ones_like(logits), standardized], axis=1)
    return float(fit_logistic(X, targets, offset=0 * logits, weights=weights)[1] / spread)
