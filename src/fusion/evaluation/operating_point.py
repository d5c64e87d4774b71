"""What a frozen threshold does. A row is called positive where its score is >= the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.confusion_table import balanced_accuracy, f1_of_last, matthews, table_estimates
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.likelihood_ratio import likelihood_ratios, predictive_values
from fusion.evaluation.patients import patient_index
from fusion.evaluation.proportion import binary_shares, share
from fusion.evaluation.proportion import proportion as proportion

Floats = NDArray[np.float64]


class Counts(NamedTuple):
    """The confusion table, in rows."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int


def confusion(labels01: NDArray[np.int64], scores: Floats, thresholds: float | Floats) -> Counts:
    """Counts at a threshold, or at one of each row's own, (N,)."""
    called, positive = scores >= thresholds, labels01 == 1
    cells = (called & positive, called & ~positive, ~called & ~positive, ~called & positive)
    return Counts(*(int(cell.sum()) for cell in cells))


def operating_point(
    labels01: NDArray[np.int64],
    scores: Floats,
    thresholds: float | Floats,
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    prevalence: float | None,
    patients: Sequence[object] | NDArray[np.int64] | None = None,
) -> dict[str, Estimate]:
    """Figures at a frozen threshold.

    Shares have Wilson's interval; balanced accuracy, F1 and Matthews' correlation that of their posterior
    (``table_estimates``); likelihood ratios and what follows from them the log method's. Each holds its value.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        scores: (N,) higher for the positive label.
        thresholds: One for all, or (N,) for each row its own.
        level: Of the intervals.
        n_bootstrap: Number of draws from the posterior.
        seed: Of the draws.
        prevalence: For predictive values where the model will be used, in (0, 1); None: only at the rows' own.
        patients: (N,) the patient of each row, who has one label; None for a row each.

    Returns:
        ``sensitivity``, ``specificity``, ``ppv``, ``npv``, ``accuracy``, ``balanced_accuracy`` and ``f1`` in [0, 1],
        ``mcc`` in [-1, 1], ``lr_positive`` and ``lr_negative`` (lower is better for this one alone), and with a
        prevalence ``ppv_at_prevalence`` and ``npv_at_prevalence``; NaN where nobody is there to count.

    Raises:
        FusionError: For a prevalence outside (0, 1).
    """
    index = patient_index(patients, len(labels01))
    positive, called = labels01 == 1, scores >= thresholds
    sensitivity, specificity = share(called, positive, index), share(~called, ~positive, index)
    result = {
        **binary_shares(positive, called, level=level, patients=index),
        **table_estimates(
            labels01,
            called.astype(np.int64),
            {"balanced_accuracy": balanced_accuracy, "f1": f1_of_last, "mcc": matthews},
            n_labels=2,
            level=level,
            n_bootstrap=n_bootstrap,
            seed=seed,
            patients=index,
        ),
        **likelihood_ratios(sensitivity, specificity, level=level),
    }
    if prevalence is not None:
        result |= predictive_values(sensitivity, specificity, prevalence=prevalence, level=level)
    return result
