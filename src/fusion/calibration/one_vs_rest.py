"""Maps of one probability, for any number of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def one_vs_rest(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """(N,) 0/1 labels and (N,) probability of each label, or with two labels of the positive one alone."""
    for k in range(1 if probabilities.shape[1] == 2 else 0, probabilities.shape[1]):
        yield (labels == k).astype(np.int64), probabilities[:, k]


def joined(columns: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(N,) calibrated probabilities of each label, or of the positive one alone → (N, K), rows summing to 1.

    Renormalized (Zadrozny & Elkan, KDD 2002:694-699); a row whose probabilities are all 0 becomes uniform.
    """
    if len(columns) == 1:
        return np.stack([1 - columns[0], columns[0]], axis=1)
    stacked = np.stack(columns, axis=1)
    sums = stacked.sum(1, keepdims=True)
    return np.where(sums > 0, stacked / np.where(sums > 0, sums, 1), 1 / len(columns))
