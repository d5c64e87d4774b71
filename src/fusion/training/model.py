"""What every fitted model can do, whether the end-to-end network or a classical one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fusion.calibration.calibrator import Calibrator
from fusion.imaging.store import Crops
from fusion.records import Case, FeatureTable, Fold, Predictions
from fusion.tabular.clinical import ColumnEncoder
from fusion.training.fitted import Scores

# Header and rows.
Table = tuple[Sequence[str], list[Sequence[object]]]


class Model(Protocol):
    """A fitted model with its preprocessing, calibration and thresholds."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Groups of the configuration that it was fitted with, ``model`` and those that make its inputs among them."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """(K,) the positive one last."""

    @property
    def calibrator(self) -> Calibrator:
        """Of the probabilities."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """By operating point."""

    @property
    def threshold(self) -> float | None:
        """Of the primary operating point."""

    @property
    def fold(self) -> int:
        """Number of the fold."""

    @property
    def heard(self) -> tuple[str, ...]:
        """What has a probability of its own in ``Scores.opinions``, in that order."""

    @property
    def clinical_columns(self) -> tuple[ColumnEncoder, ...]:
        """Encodings of the clinical columns that it was fitted with."""

    def with_calibrator(self, calibrator: Calibrator) -> Self:
        """The same model with its calibration frozen."""

    def with_thresholds(self, thresholds: Mapping[str, float], *, primary: str) -> Self:
        """The same model with its thresholds frozen."""

    def score_cases(self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable, accelerator: str) -> Scores:
        """Score any cases."""

    def presence(self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable) -> dict[str, NDArray[np.bool_]]:
        """(N,) by branch that the model has, whether each case has it."""

    def image_rows(
        self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable, accelerator: str
    ) -> dict[str, NDArray[np.float64]]:
        """(N, D) by branch that sees the image: what the model makes of each; NaN where a case lacks the branch."""

    def predictions(self, cases: Sequence[Case], scores: Scores, *, fold: Fold | None) -> Predictions:
        """Scores as case-level ``Predictions``; with no fold given, every case is in the test part."""

    def feature_weights(self) -> list[tuple[str, float]]:
        """The radiomics features that carry weight, the largest first."""

    def facts(self) -> dict[str, Any]:
        """Plain facts of the fit, for ``fold.json``."""

    def tables(self) -> Mapping[str, Table]:
        """Further tables that can be read off the model, by file name."""

    def save(self, path: Path, *, split_sha256: str) -> None:
        """Write the model, loadable with ``weights_only=True``."""
