"""Choose a classifier's settings on held-out training patients."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.classical.estimator import gives_probabilities, make_estimator
from fusion.classical.fitted_estimator import FittedEstimator, UnscorableError
from fusion.classical.imbalance import prevalence
from fusion.classical.inner_folds import inner_folds
from fusion.classical.sigmoid import Sigmoid
from fusion.errors import FusionError

# Of some rows, columns.
Choose = Callable[[NDArray[np.intp]], NDArray[np.intp]]
_log = logging.getLogger(__name__)
# Losses that differ by less are the same: the rest is rounding.
_SAME_LOSS = 1e-9


class _Held(NamedTuple):
    """Rows that are fitted on, rows that are held out, and the columns that the former chose."""

    inside: NDArray[np.intp]
    outside: NDArray[np.intp]
    columns: NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The settings chosen.

    Attributes:
        values: Chosen value of each argument of the grid.
        sigmoid: For estimators without probabilities: fitted on the held-out decision values of the chosen settings.
    """

    values: dict[str, Any]
    sigmoid: Sigmoid | None


def tune(
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    *,
    classifier: Mapping[str, Any],
    weights: NDArray[np.float64],
    patients: NDArray[np.int64],
    seed: int,
    choose: Choose | None = None,
) -> Tuned:
    """The settings of the grid with the lowest log loss of held-out patients; of equal ones the first.

    Every combination scores all rows, each by an estimator that was scaled, rebalanced and fitted without its patient.
    Log loss rather than AUC, since it also judges how sure a model is, which is what regularization changes, and since
    AUC is coarse with few patients. Probabilities are held within 1 / (2 patients) of 0 and 1 for it: so many patients
    cannot show more, and a vote of five neighbors that all err does not outweigh everything else. Decision values are
    first mapped to probabilities by the best sigmoid, the same for all combinations. Nothing is fitted where there is
    one combination of an estimator that gives probabilities.

    Args:
        X: (N, F), F above 0.
        y: (N,) 0 or 1.
        classifier: Checked.
        weights: (N,) so that every patient counts the same.
        patients: (N,) index of the row's patient.
        seed: Of the inner folds and the estimators.
        choose: Of some rows, the columns that a selection fitted on them keeps; None keeps all.

    Raises:
        FusionError: With fewer than two patients of a label, or where no combination can be fitted and scored.
    """
    combinations = [
        dict(zip(classifier["grid"], values, strict=True)) for values in product(*classifier["grid"].values())
    ]
    calibrated = gives_probabilities(make_estimator(classifier, seed=seed))
    if calibrated and len(combinations) == 1:
        return Tuned(values=combinations[0], sigmoid=None)
    folds = _folds(inner_folds(y, patients, seed=seed), X.shape[1], choose)
    losses = np.full(len(combinations), np.inf)
    sigmoids: list[Sigmoid | None] = [None] * len(combinations)
    for i, values in enumerate(combinations):
        try:
            held_out = _held_out(X, y, folds, classifier=classifier, values=values, weights=weights, seed=seed)
        except UnscorableError as error:
            _log.warning("classifier=%s: %s is left out of the grid: %s", classifier["name"], values, error)
            continue
        if not calibrated:
            sigmoids[i] = sigmoid = Sigmoid.fit(held_out, y, weights=weights, patients=patients)
            held_out = sigmoid.probabilities(held_out)
        losses[i] = _log_loss(held_out, y, weights, nearest=0.5 / len(np.unique(patients)))
    if np.isinf(losses).all():
        raise FusionError(
            f"classifier={classifier['name']}: required a combination of its grid that {len(y)} training rows are "
            f"enough for, came none of {len(combinations)}; take smaller values, e.g. of neighbors"
        )
    best = int(np.flatnonzero(losses <= losses.min() + _SAME_LOSS)[0])
    return Tuned(values=combinations[best], sigmoid=sigmoids[best])


def _held_out(
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    folds: Sequence[_Held],
    *,
    classifier: Mapping[str, Any],
    values: Mapping[str, Any],
    weights: NDArray[np.float64],
    seed: int,
) -> NDArray[np.float64]:
    scores = np.empty(len(y))
    calibrated = gives_probabilities(make_estimator(classifier, seed=seed))
    for fold in folds:
        inside, outside, columns = fold
        if len(columns) == 0:
            # As the model itself does where nothing is kept; a decision value of 0 says nothing either.
            scores[outside] = prevalence(y[inside], weights[inside]) if calibrated else 0.0
            continue
        fitted = FittedEstimator.fit(
            X[np.ix_(inside, columns)],
            y[inside],
            classifier=classifier,
            values=values,
            weights=weights[inside],
            seed=seed,
        )
        scores[outside] = fitted.scores(X[np.ix_(outside, columns)])
    return scores


def _folds(numbers: NDArray[np.int64], n_columns: int, choose: Choose | None) -> list[_Held]:
    found = []
    for number in range(int(numbers.max()) + 1):
        inside = np.flatnonzero(numbers != number)
        columns = np.arange(n_columns) if choose is None else choose(inside)
        found.append(_Held(inside, np.flatnonzero(numbers == number), columns))
    return found


def _log_loss(
    probabilities: NDArray[np.float64], y: NDArray[np.int64], weights: NDArray[np.float64], *, nearest: float
) -> float:
    bounded = np.clip(probabilities, nearest, 1 - nearest)
    return float(np.average(-np.log(np.where(y == 1, bounded, 1 - bounded)), weights=weights))
