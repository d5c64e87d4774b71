"""Temperature scaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from fusion.calibration.calibrator import Calibrator

# A softmax in float32 tells 1 - 6e-8 from 1.
_NEAREST_TO_CERTAIN = 1e-8
_LOWEST, _HIGHEST = 0.1, 10.0


@dataclass(frozen=True)
class Temperature(Calibrator):
    """softmax(log(p) / temperature), for any number of labels.

    Guo et al. (ICML 2017, section 4.2): one number above 0 by maximum likelihood; above 1 it makes probabilities less
    extreme. It keeps the order of a row's labels and, with two labels, of the patients; it cannot mend probabilities
    that are all too low or too high. Held within [0.1, 10]: a perfectly separated inner part asks for 0, and inner
    predictions worse than chance for infinity. Probabilities below 1e-8 are taken for 1e-8.

    Attributes:
        temperature: In [0.1, 10]; 1 changes nothing.
    """

    name: ClassVar[str] = "temperature"
    temperature: float

    @classmethod
    def fit(cls, labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        logits = _log(probabilities)
        shares = weights / weights.sum()
        rows = np.arange(len(labels))

        # Convex in the inverse temperature, so a search of one dimension finds the only minimum.
        def loss(inverse: float) -> float:
            return -float(np.sum(shares * log_softmax(inverse * logits, axis=1)[rows, labels]))

        found = minimize_scalar(loss, bounds=(1 / _HIGHEST, 1 / _LOWEST), method="bounded", options={"xatol": 1e-9})
        return cls(1 / float(found.x))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(float(state["temperature"]))

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(softmax(_log(probabilities) / self.temperature, axis=1))

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "temperature": self.temperature}


def _log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _NEAREST_TO_CERTAIN))
