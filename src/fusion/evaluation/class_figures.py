"""Figures of the most probable label, with more than two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.confusion_table import balanced_accuracy, macro_f1, matthews, table_estimates
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.patients import patient_index
from fusion.evaluation.proportion import binary_shares, proportion


def class_figures(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    label_names: Sequence[str],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Sequence[object] | NDArray[np.int64] | None = None,
) -> dict[str, Estimate]:
    """Figures of calling each row its most probable label, of equally probable ones the first; higher is better.

    Shares have Wilson's interval, the others that of their posterior (``table_estimates``).

    Args:
        labels: (N,) 0 to K - 1.
        probabilities: (N, K)
        label_names: K names.
        level: Of the intervals.
        n_bootstrap: Number of draws from the posterior.
        seed: Of the draws.
        patients: (N,) the patient of each row, who has one label; None for a row each.

    Returns:
        ``accuracy``; ``balanced_accuracy`` (mean recall) and ``f1`` (mean over labels), NaN where a label is missing;
        ``mcc`` (Gorodkin's R_K, in [-1, 1]); and of each label against the others ``sensitivity_<label>``,
        ``specificity_<label>``, ``ppv_<label>`` and ``npv_<label>``, NaN where nobody is there to count.
    """
    index = patient_index(patients, len(labels))
    called = probabilities.argmax(1)
    right = called == labels
    result = {"accuracy": proportion(right, np.ones_like(right), level=level, patients=index)}
    result |= table_estimates(
        labels,
        called,
        {"balanced_accuracy": balanced_accuracy, "f1": macro_f1, "mcc": matthews},
        n_labels=len(label_names),
        level=level,
        n_bootstrap=n_bootstrap,
        seed=seed,
        patients=index,
    )
    for k, name in enumerate(label_names):
        shares = binary_shares(labels == k, called == k, level=level, patients=index)
        result |= {f"{figure}_{name}": shares[figure] for figure in ("sensitivity", "specificity", "ppv", "npv")}
    return result
