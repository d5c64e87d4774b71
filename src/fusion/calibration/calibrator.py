"""What every calibrator can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray


class Calibrator(ABC):
    """A frozen map of probabilities, made by ``fusion.calibration.fit_calibrator``.

    Attributes:
        name: As in ``conf/calibration``.
        needs_every_label: Whether it can only be fitted where every label occurs.
    """

    name: ClassVar[str]
    needs_every_label: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def fit(cls, labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> Self:
        """Behind ``fit_calibrator``, which checks; (N,), (N, K), (N,)."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The calibrator that gave this ``state()``."""

    @abstractmethod
    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, K) probabilities, of the K labels it was fitted with → (N, K) in [0, 1], rows summing to 1, never NaN."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Strings, floats and lists only: JSON, and a checkpoint that is loaded with ``weights_only=True``."""
