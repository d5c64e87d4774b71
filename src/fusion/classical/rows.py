"""What a stage of a classical model is fitted on: training rows, with patients, weights and outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.imaging.store import Crops
from fusion.records import Case, FeatureTable


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the values of cases come from.

    Attributes:
        crops: For the deep features.
        features: The radiomics table.
        accelerator: What embeds images: ``auto``, ``cpu``, ``gpu``.
    """

    crops: Crops
    features: FeatureTable
    accelerator: str


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Of N training rows.

    Attributes:
        y: (N,) 1 for the positive label, else 0.
        patients: (N,) index of the row's patient.
        weights: (N,) so that every patient counts the same, however many images; mean 1.
    """

    y: NDArray[np.float64]
    patients: NDArray[np.int64]
    weights: NDArray[np.float64]

    def of_rows(self, rows: NDArray[np.intp]) -> Outcomes:
        """Of some rows, all of each patient's; the weights keep their ratios."""
        weights = self.weights[rows]
        return Outcomes(y=self.y[rows], patients=self.patients[rows], weights=weights / weights.mean())

    @classmethod
    def of(cls, cases: Sequence[Case], positive: str) -> Outcomes:
        """Of labeled cases."""
        _, patients, counts = np.unique([case.patient_id for case in cases], return_inverse=True, return_counts=True)
        weights = 1.0 / counts[patients]
        return cls(
            y=np.array([case.label == positive for case in cases], dtype=np.float64),
            patients=patients.astype(np.int64),
            weights=weights / weights.mean(),
        )
