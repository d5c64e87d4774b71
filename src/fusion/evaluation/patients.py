"""Rows that belong to one patient: several images, or the same patient in the training parts of several folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def patient_index(patients: Sequence[object] | NDArray[np.int64] | None, n_rows: int) -> NDArray[np.int64]:
    """(N,) the patient of each row, counted from 0; None means that every row is a patient of its own."""
    if patients is None:
        return np.arange(n_rows)
    if len(patients) != n_rows:
        raise ValueError(f"patients: required one per row, {n_rows}, came {len(patients)}")
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(patient, len(numbers)) for patient in patients], dtype=np.int64)


def totals(rows: NDArray[np.float64], patients: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, C) rows and the (N,) index of their patients → (P, C) sums by patient."""
    columns = [np.bincount(patients, weights=column) for column in rows.T]
    return np.stack(columns, axis=1)
