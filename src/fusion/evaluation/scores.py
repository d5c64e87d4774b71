"""Scores against two labels: what every figure of discrimination takes, checked once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Labels01 = NDArray[np.int64]
Scores = NDArray[np.float64]
Patients = Sequence[object] | NDArray[np.int64] | None


def check_scores(labels01: Labels01, scores: Scores) -> None:
    """Refuse what has no ranking.

    Raises:
        ValueError: For labels other than 0 and 1, scores that are not finite, or lengths that differ.
    """
    if labels01.shape != scores.shape or labels01.ndim != 1:
        raise ValueError(f"required a label and a score per row, came {labels01.shape} and {scores.shape}")
    if not np.isin(labels01, (0, 1)).all():
        raise ValueError(f"labels: required 0 and 1, came {np.unique(labels01)[:5].tolist()}")
    if not np.isfinite(scores).all():
        raise ValueError(f"scores: required finite numbers, came {int((~np.isfinite(scores)).sum())} that are not")
