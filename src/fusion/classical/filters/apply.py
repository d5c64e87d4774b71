"""The filters of a configuration, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.classical.filters.mrmr import of_mrmr
from fusion.classical.filters.patients import patient_rows
from fusion.classical.filters.redundancy import not_redundant
from fusion.classical.filters.univariate import that_differ
from fusion.classical.filters.variance import of_variance
from fusion.errors import FusionError

# What a variance within each label needs: Welch's test, and the F statistic of mRMR.
_MIN_PATIENTS = {"mann_whitney": 1, "t_test": 2, "mrmr": 2}


def apply_filters(
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    filters: Sequence[Mapping[str, Any]],
    patients: NDArray[np.int64],
    seed: int,
) -> NDArray[np.intp]:
    """Columns that are left after all filters, each of which sees what those before it left.

    Every test and correlation is of the patients' mean rows, so that a patient with many images counts once.

    Args:
        X: (N, F) finite values of the training part; F may be 0.
        y: (N,) 0 or 1, the same for all rows of a patient.
        filters: Those that `check_filters` has checked, in order; none keeps all columns.
        patients: (N,) index of the row's patient.
        seed: The same call gives the same columns.

    Returns:
        Their positions in X, ascending; possibly none.

    Raises:
        FusionError: If a filter compares the labels, and there are too few patients of one of them.
    """
    values, labels = patient_rows(X, y, patients)
    _refuse_few(filters, labels)
    kept = np.arange(X.shape[1])
    for one in filters:
        settings = {key: value for key, value in one.items() if key != "name"}
        kept = kept[_left_by(one["name"], values[:, kept], labels, settings, seed)]
    return kept


def _left_by(
    name: str, values: NDArray[np.float64], labels: NDArray[np.float64], settings: Mapping[str, Any], seed: int
) -> NDArray[np.intp]:
    match name:
        case "variance":
            return of_variance(values, **settings)
        case "mann_whitney" | "t_test":
            return that_differ(values, labels, test=name, **settings)
        case "spearman" | "pearson":
            return not_redundant(values, labels, correlation=name, **settings)
        case "mrmr":
            return of_mrmr(values, labels, seed=seed, **settings)
    raise ValueError(f"no filter is called {name!r}")


def _refuse_few(filters: Sequence[Mapping[str, Any]], labels: NDArray[np.float64]) -> None:
    positive = int(np.sum(labels == 1))
    came = min(positive, len(labels) - positive)
    for i, one in enumerate(filters):
        required = 1 if one.get("order") == "p_value" else _MIN_PATIENTS.get(one["name"], 0)
        if came < required:
            raise FusionError(
                f"selection.filters[{i}]: {one['name']} compares the two labels and required at least {required} "
                f"training patient{'s' * (required > 1)} of each, came {positive} positive of {len(labels)}; make the "
                "training part larger or stratified, or use filters that do not look at the label "
                "(variance, and spearman or pearson with order=table)"
            )
