"""Divide the training patients once more, to choose settings and to calibrate on held-out ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError

_N_FOLDS = 5


def inner_folds(y: NDArray[np.int64], patients: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """(N,) number of the inner fold that holds the row out, from 0; all rows of a patient have the same.

    Patients are shuffled, sorted by label and dealt, so each fold has each label in proportion to within one patient,
    and both labels are left to fit on. Five folds, or as many as the rarer label has patients.

    Args:
        y: (N,) 0 or 1, the same in all rows of a patient.
        patients: (N,) index of the row's patient.
        seed: Of the shuffle.

    Raises:
        FusionError: With fewer than two patients of a label.
    """
    ids, first, rows = np.unique(patients, return_index=True, return_inverse=True)
    labels = y[first]
    n_rarer = int(np.bincount(labels, minlength=2).min())
    if n_rarer < 2:
        raise FusionError(
            f"classifier: required two or more training patients of each label, so that its settings can be chosen on "
            f"held-out patients, came {np.bincount(labels, minlength=2).tolist()} of labels 0 and 1; "
            "take more patients, or a classifier with nothing to choose (classifier=naive_bayes)"
        )
    shuffled = np.random.default_rng(seed).permutation(len(ids))
    dealt = shuffled[np.argsort(labels[shuffled], kind="stable")]
    numbers = np.empty(len(ids), dtype=np.int64)
    numbers[dealt] = np.arange(len(ids)) % min(_N_FOLDS, n_rarer)
    return numbers[rows]
