"""Isotonic recalibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fusion.calibration.calibrator import Calibrator
from fusion.calibration.one_vs_rest import joined, one_vs_rest

Steps = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Isotonic(Calibrator):
    """The best rising step function of the probability; with more than two labels one-vs-rest, renormalized.

    Zadrozny & Elkan (KDD 2002:694-699), by scikit-learn: linear between the steps, constant beyond the first and last
    inner probability. It can have any rising shape, and overfits below several hundred patients (Niculescu-Mizil &
    Caruana, ICML 2005, section 4). It never turns the order of two patients around but makes ties, so AUC may change a
    little; and a patient may get a probability of exactly 0 or 1.

    Attributes:
        steps: Probabilities before and after, both rising: of the positive label with two labels, else of each label.
    """

    name: ClassVar[str] = "isotonic"
    steps: tuple[Steps, ...]

    @classmethod
    def fit(cls, labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        return cls(tuple(_fit_steps(labels01, p, weights) for labels01, p in one_vs_rest(labels, probabilities)))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(tuple((tuple(before), tuple(after)) for before, after in state["steps"]))

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = probabilities[:, -len(self.steps) :].T
        return joined([np.interp(p, before, after) for p, (before, after) in zip(columns, self.steps, strict=True)])

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "steps": [[list(before), list(after)] for before, after in self.steps]}


def _fit_steps(labels01: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> Steps:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(probabilities, labels01, weights)
    return tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist())
