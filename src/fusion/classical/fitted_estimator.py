"""An estimator with the scaling and the rebalancing of the rows that it was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.classical.estimator import gives_probabilities, make_estimator, takes_weights
from fusion.classical.imbalance import at_prevalence, prevalence, rebalance
from fusion.classical.persistence import pack_estimator, unpack_estimator
from fusion.errors import FusionError

# A column whose standard deviation is below this part of its size is constant: the rest is rounding.
_CONSTANT = 1e-9


class UnscorableError(FusionError):
    """Rows cannot be scored, e.g. because fewer rows were fitted than neighbors are asked for."""


@dataclass(frozen=True, kw_only=True)
class FittedEstimator:
    """Fitted on standardized rows.

    Attributes:
        means, scales: (F,) patient-weighted; the scale of a constant column is 1.
        estimator: Fitted on (X - means) / scales.
        fitted_prevalence: Share of the positive label as the estimator saw it, after rebalancing.
        prevalence: Patient-weighted share among the training rows.
    """

    means: NDArray[np.float64]
    scales: NDArray[np.float64]
    estimator: Any
    fitted_prevalence: float
    prevalence: float

    @classmethod
    def fit(
        cls,
        X: NDArray[np.float64],
        y: NDArray[np.int64],
        *,
        classifier: Mapping[str, Any],
        values: Mapping[str, Any],
        weights: NDArray[np.float64],
        seed: int,
    ) -> Self:
        """Standardize, rebalance, fit.

        Args:
            X: (N, F), F above 0.
            y: (N,) 0 or 1, both present.
            classifier: Checked.
            values: Arguments of the estimator that replace its own.
            weights: (N,) so that every patient counts the same.
            seed: Of SMOTE and of the estimator.

        Raises:
            FusionError: If the estimator refuses its arguments or the rows.
        """
        means = np.average(X, axis=0, weights=weights)
        deviations = np.sqrt(np.average((X - means) ** 2, axis=0, weights=weights))
        scales = np.where(deviations > _CONSTANT * (1 + np.abs(means)), deviations, 1.0)
        rows, labels, row_weights = rebalance(
            (X - means) / scales, y, weights / weights.mean(), imbalance=classifier["imbalance"], seed=seed
        )
        estimator = make_estimator(classifier, seed=seed).set_params(**values)
        weighted = takes_weights(estimator)
        try:
            estimator.fit(rows, labels, **({"sample_weight": row_weights} if weighted else {}))
        except ValueError as error:
            raise FusionError(_refusal(classifier, values, rows.shape, error)) from error
        return cls(
            means=means,
            scales=scales,
            estimator=estimator,
            fitted_prevalence=prevalence(labels, row_weights if weighted else np.ones(len(labels))),
            prevalence=prevalence(y, weights),
        )

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What gave this ``state()``.

        Raises:
            FusionError: As ``unpack_estimator`` does.
        """
        return cls(
            means=np.array(state["means"], dtype=np.float64),
            scales=np.array(state["scales"], dtype=np.float64),
            estimator=unpack_estimator(state["estimator"]),
            fitted_prevalence=state["fitted_prevalence"],
            prevalence=state["prevalence"],
        )

    def standardize(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, F) → (N, F) as the estimator takes them."""
        return (X - self.means) / self.scales

    def scores(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) probabilities at the training prevalence, or decision values where the estimator has only those.

        Raises:
            UnscorableError: If the estimator cannot.
        """
        rows = self.standardize(X)
        try:
            if not gives_probabilities(self.estimator):
                return np.asarray(self.estimator.decision_function(rows), dtype=np.float64)
            raw = np.asarray(self.estimator.predict_proba(rows)[:, 1], dtype=np.float64)
        except ValueError as error:
            raise UnscorableError(
                f"classifier {type(self.estimator).__name__}: required settings that its training rows suffice for, "
                f"came {error}; take smaller values, e.g. of neighbors"
            ) from error
        return at_prevalence(np.clip(raw, 0, 1), fitted=self.fitted_prevalence, true=self.prevalence)

    @property
    def linear(self) -> tuple[NDArray[np.float64], float] | None:
        """(F,) coefficients of the columns as they come and the intercept of a logistic regression's logit."""
        from sklearn.linear_model import LogisticRegression

        if not isinstance(self.estimator, LogisticRegression):
            return None
        coefficients = np.asarray(self.estimator.coef_[0], dtype=np.float64) / self.scales
        shift = _logit(self.prevalence) - _logit(self.fitted_prevalence)
        return coefficients, float(self.estimator.intercept_[0] - coefficients @ self.means + shift)

    @cached_property
    def packed(self) -> dict[str, Any]:
        """``pack_estimator`` of the estimator, made once.

        Raises:
            FusionError: As that does.
        """
        return pack_estimator(self.estimator)

    def state(self) -> dict[str, Any]:
        """Plain containers and a tensor."""
        return {
            "means": self.means.tolist(),
            "scales": self.scales.tolist(),
            "estimator": self.packed,
            "fitted_prevalence": self.fitted_prevalence,
            "prevalence": self.prevalence,
        }


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _refusal(
    classifier: Mapping[str, Any], values: Mapping[str, Any], shape: tuple[int, ...], error: ValueError
) -> str:
    return (
        f"classifier={classifier['name']}: required arguments that {classifier['estimator']['_target_']} takes for "
        f"{shape[0]} rows of {shape[1]} columns, came a refusal with {dict(values) or 'its own arguments'}: {error}; "
        "mend classifier.estimator or classifier.grid"
    )
