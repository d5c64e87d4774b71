"""The way into this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.calibration.calibrator import Calibrator
from fusion.calibration.identity import Identity
from fusion.calibration.isotonic import Isotonic
from fusion.calibration.platt import Platt
from fusion.calibration.temperature import Temperature
from fusion.errors import FusionError

_CALIBRATORS: dict[str, type[Calibrator]] = {kind.name: kind for kind in (Identity, Platt, Temperature, Isotonic)}


def fit_calibrator(
    name: str, labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]
) -> Calibrator:
    """Fit a map from a model's probabilities to calibrated ones. The same rows always give the same map.

    The rows must be predictions of training patients by models that were not fitted on them (the inner part of a fold,
    or inner out-of-fold predictions): a model's probabilities of its own training rows are too extreme, and a map
    fitted on the scored part would hide what is wrong with it. Nothing here can see where rows come from.

    Args:
        name: ``none``, ``platt``, ``temperature`` or ``isotonic``.
        labels: (N,) 0 to K - 1, the positive one last.
        probabilities: (N, K) in [0, 1], rows summing to 1.
        weights: (N,) above 0. The weights of a patient's rows add up to 1, so that every patient counts the same and
            the sum is the number of patients, which ``platt`` needs.

    Raises:
        FusionError: For an unknown name, or where a label is missing among the rows (``none`` needs no rows at all).
        ValueError: For shapes that do not fit each other, or values out of range.
    """
    kind = _calibrator(name)
    _check(labels, probabilities, weights)
    missing = sorted(set(range(probabilities.shape[1])) - set(labels.tolist()))
    if missing and kind.needs_every_label:
        raise FusionError(
            f"calibration={name}: required inner (out-of-fold) predictions of patients of every label, came "
            f"{len(labels)} rows without label number {', '.join(map(str, missing))} (counted from 0); set "
            "calibration=none, or give the inner part more patients (split.validation_fraction, split.n_inner_folds)"
        )
    return kind.fit(labels, probabilities, weights)


def check_calibration(name: str) -> None:
    """Refuse a name that is none, before anything is fitted.

    Raises:
        FusionError: For an unknown name.
    """
    _calibrator(name)


def calibrator_from_state(state: Mapping[str, Any]) -> Calibrator:
    """The calibrator whose ``state()`` a checkpoint carries.

    Raises:
        FusionError: For a kind that this version does not have.
    """
    return _calibrator(state["name"]).from_state(state)


def _calibrator(name: str) -> type[Calibrator]:
    if name not in _CALIBRATORS:
        raise FusionError(f"calibration: required one of {', '.join(_CALIBRATORS)}, came {name!r}")
    return _CALIBRATORS[name]


def _check(labels: NDArray[np.int64], probabilities: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    if probabilities.ndim != 2 or labels.shape != weights.shape or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"calibration: required (N,), (N, K), (N,), came {labels.shape}, {probabilities.shape}, {weights.shape}"
        )
    # Written so that NaN fails too.
    if not np.all((probabilities >= 0) & (probabilities <= 1)) or not np.all((weights > 0) & np.isfinite(weights)):
        raise ValueError("calibration: probabilities must lie in [0, 1] and weights above 0")
    if not np.all((labels >= 0) & (labels < probabilities.shape[1])):
        raise ValueError(f"calibration: labels must be 0 to {probabilities.shape[1] - 1}")
