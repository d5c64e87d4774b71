"""No calibration: probabilities as the model gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fusion.calibration.calibrator import Calibrator


@dataclass(frozen=True)
class Identity(Calibrator):
    """Changes nothing."""

    name: ClassVar[str] = "none"
    needs_every_label: ClassVar[bool] = False

    @classmethod
    def fit(cls, labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        del labels, probabilities, weights
        return cls()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        del state
        return cls()

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        return probabilities

    def state(self) -> dict[str, Any]:
        return {"name": self.name}
