"""Late fusion: a weighted mean of the branches' calibrated probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, softmax

from fusion.calibration.calibrator import Calibrator
from fusion.calibration.fit import calibrator_from_state, fit_calibrator
from fusion.classical.rows import Outcomes

# A probability of 0 that is wrong would cost without bound.
_NEAREST_TO_CERTAIN = 1e-6
# Keeps every weight above 0, if by 1e-7: a patient who has only branches that others do without is judged by those, all
# with the same say, and not by the ratio of numbers that are nothing but rounding.
_LARGEST_LOGIT = 8.0


@dataclass(frozen=True, kw_only=True)
class WeightedMean:
    """Sum over the branches that a patient has of weight * calibrated probability, over the sum of their weights.

    Weights are not negative, sum to 1 and have the least log loss on out-of-fold scores, as those of a super learner
    (van der Laan, Polley & Hubbard, Stat Appl Genet Mol Biol 6:25, 2007); each score is first recalibrated by Platt's
    logistic regression on the same out-of-fold scores.

    Attributes:
        calibrators: One a score.
        weights: (F,) of the scores.
        prevalence: Of the training part: what a patient is given who has no score at all.
    """

    calibrators: tuple[Calibrator, ...]
    weights: NDArray[np.float64]
    prevalence: float

    @property
    def linear(self) -> None:
        """There is no linear predictor."""

    @property
    def chosen(self) -> dict[str, Any]:
        """Nothing was tuned."""
        return {}

    @classmethod
    def fit(cls, scores: NDArray[np.float64], outcomes: Outcomes) -> Self:
        """Fit on out-of-fold scores of training patients.

        Args:
            scores: (N, F) linear predictors; NaN where a patient lacks the branch.
            outcomes: Of the rows.
        """
        calibrators = []
        for column in scores.T:
            known = ~np.isnan(column)
            # Platt's targets count patients: the weights of one add up to 1.
            _, patient, n_rows = np.unique(outcomes.patients[known], return_inverse=True, return_counts=True)
            labels, weights = outcomes.y[known].astype(np.int64), 1.0 / n_rows[patient]
            calibrators.append(fit_calibrator("platt", labels, _pair(expit(column[known])), weights))
        prevalence = float(np.average(outcomes.y, weights=outcomes.weights))
        equal = np.full(scores.shape[1], 1 / max(scores.shape[1], 1))
        unweighted = cls(calibrators=tuple(calibrators), weights=equal, prevalence=prevalence)
        calibrated = unweighted._calibrated(scores)

        def loss(logits: NDArray[np.float64]) -> float:
            p = _mean(calibrated, _weights(logits), prevalence).clip(_NEAREST_TO_CERTAIN, 1 - _NEAREST_TO_CERTAIN)
            losses = -np.where(outcomes.y == 1, np.log(p), np.log(1 - p))
            return float(np.average(losses, weights=outcomes.weights))

        best = _minimum(loss, scores.shape[1])
        return cls(calibrators=tuple(calibrators), weights=_weights(best), prevalence=prevalence)

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) of the positive label."""
        return _mean(self._calibrated(scores), self.weights, self.prevalence)

    def _calibrated(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = []
        for calibrator, column in zip(self.calibrators, scores.T, strict=True):
            p = np.full(len(column), np.nan)
            known = ~np.isnan(column)
            p[known] = calibrator.apply(_pair(expit(column[known])))[:, 1]
            columns.append(p)
        return np.stack(columns, axis=1)

    def state(self) -> dict[str, Any]:
        """Plain content for a checkpoint."""
        return {
            "calibrators": [calibrator.state() for calibrator in self.calibrators],
            "weights": self.weights.tolist(),
            "prevalence": self.prevalence,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What gave ``state``."""
        return cls(
            calibrators=tuple(calibrator_from_state(each) for each in state["calibrators"]),
            weights=np.array(state["weights"], dtype=np.float64),
            prevalence=state["prevalence"],
        )


def _mean(p: NDArray[np.float64], weights: NDArray[np.float64], prevalence: float) -> NDArray[np.float64]:
    known = ~np.isnan(p)
    total = (known * weights).sum(axis=1)
    mean = (np.where(known, p, 0.0) * weights).sum(axis=1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, prevalence)


def _weights(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = softmax(logits.clip(-_LARGEST_LOGIT, _LARGEST_LOGIT))
    return weights


def _minimum(loss: Callable[[NDArray[np.float64]], float], n: int) -> NDArray[np.float64]:
    """(n,) where the loss is least, by Nelder & Mead (Comput J 7:308, 1965)."""
    # Where patients lack branches there may be several minima, and the loss is flat where a weight nears 0: one start
    # is of equal weights, one near each branch alone.
    found = []
    for start in (np.zeros(n), *(3.0 * np.eye(n))):
        steps = np.concatenate([start[None], start + np.eye(n)])
        options = {"xatol": 1e-4, "fatol": 1e-8, "initial_simplex": steps}
        found.append(minimize(loss, start, method="Nelder-Mead", options=options))
    best: NDArray[np.float64] = min(found, key=lambda each: float(each.fun)).x
    return best


def _pair(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([1 - p, p], axis=1)
