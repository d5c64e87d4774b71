"""One row per patient: images of one patient are no independent observations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def patient_rows(
    X: NDArray[np.float64], y: NDArray[np.float64], patients: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean row of each patient, and the patient's label.

    Args:
        X: (N, F).
        y: (N,) the same for all rows of a patient.
        patients: (N,) index of the row's patient.

    Returns:
        (P, F) and (P,), by ascending index.
    """
    _, first, row_of, n_rows = np.unique(patients, return_index=True, return_inverse=True, return_counts=True)
    # As what is added to a patient's first row: equal rows then have exactly their own value as mean, and ties
    # between patients stay ties.
    added = np.zeros((len(first), X.shape[1]))
    np.add.at(added, row_of, X - X[first[row_of]])
    return X[first] + added / n_rows[:, None], y[first]
