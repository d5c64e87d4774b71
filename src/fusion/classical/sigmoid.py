"""Probabilities for classifiers that give only a signed distance from their boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fusion.calibration import Calibrator, calibrator_from_state, fit_calibrator


@dataclass(frozen=True)
class Sigmoid:
    """Platt's map from decision values to probabilities (see ``fusion.calibration``); it keeps their order.

    Attributes:
        spread: Standard deviation of the decision values it was fitted on: the unit in which they are calibrated,
            since their scale is arbitrary.
        platt: The map of expit(decision / spread).
    """

    spread: float
    platt: Calibrator

    @classmethod
    def fit(
        cls,
        decisions: NDArray[np.float64],
        y: NDArray[np.int64],
        *,
        weights: NDArray[np.float64],
        patients: NDArray[np.int64],
    ) -> Self:
        """Fit it on decision values of patients whom the estimator that gave them was not fitted on.

        Args:
            decisions: (N,) higher is more positive.
            y: (N,) 0 or 1.
            weights: (N,) so that every patient counts the same.
            patients: (N,) index of the row's patient.
        """
        spread = float(np.std(decisions)) or 1.0
        # Platt's targets count patients.
        counted = weights * (len(np.unique(patients)) / weights.sum())
        return cls(spread, fit_calibrator("platt", y, _both(decisions / spread), counted))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The map that gave this ``state()``."""
        return cls(float(state["spread"]), calibrator_from_state(state["platt"]))

    def probabilities(self, decisions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) decision values → (N,) in [0, 1]."""
        return self.platt.apply(_both(decisions / self.spread))[:, 1]

    def state(self) -> dict[str, Any]:
        """Plain containers."""
        return {"spread": self.spread, "platt": self.platt.state()}


def _both(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([expit(-logits), expit(logits)], axis=1)
