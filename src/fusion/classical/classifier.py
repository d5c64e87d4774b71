"""The last stage of a classical model: any scikit-learn compatible classifier, tuned and kept without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.classical.estimator import check_classifier
from fusion.classical.fitted_estimator import FittedEstimator
from fusion.classical.imbalance import prevalence
from fusion.classical.sigmoid import Sigmoid
from fusion.classical.tuning import Choose, tune
from fusion.errors import FusionError

__all__ = ["Classifier", "check_classifier"]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A fitted classifier; ``fit`` makes it.

    Attributes:
        prevalence: Patient-weighted share of the positive label among the training rows, in (0, 1).
        chosen: Chosen value of each argument of the grid.
        fitted: The estimator with its scaling; None where there are no columns.
        sigmoid: For an estimator that gives no probabilities: the map from its decision values.
    """

    prevalence: float
    chosen: dict[str, Any]
    fitted: FittedEstimator | None
    sigmoid: Sigmoid | None

    @classmethod
    def fit(
        cls,
        X: NDArray[np.float64],
        y: NDArray[np.float64] | NDArray[np.int64],
        *,
        classifier: Mapping[str, Any],
        weights: NDArray[np.float64],
        patients: NDArray[np.int64],
        seed: int,
        columns: NDArray[np.intp] | None = None,
        choose: Choose | None = None,
    ) -> Self:
        """Choose the settings on held-out training patients, then fit on all rows. The same call gives the same model.

        Columns are standardized first. The weights go to the estimator where its ``fit`` takes ``sample_weight``; of
        those of the project, ``knn`` does not, so there a patient with more images counts more. Where there are no
        columns the model gives every row the prevalence.

        An estimator without probabilities (``svm``) gets Platt's sigmoid, fitted on the decision values of the inner
        folds, in which nobody is scored by an estimator that was fitted on them. It turns what ``imbalance`` did back
        by itself, since it is fitted on the training rows as they are; other estimators' probabilities are shifted.

        Args:
            X: (N, F) finite.
            y: (N,) 0 or 1, the same in all rows of a patient.
            classifier: As in ``conf/classifier``, passed by ``check_classifier``.
            weights: (N,) so that every patient counts the same.
            patients: (N,) index of the row's patient.
            seed: Of the inner folds, SMOTE and the estimator.
            columns: That were selected on these rows, and that the model takes; None takes all.
            choose: Of some rows, the columns that the same selection keeps on those; None keeps all. It is run anew on
                the rows that each inner fold fits on, so that no settings and no sigmoid rest on columns that were
                picked by the rows held out.

        Raises:
            FusionError: With one label only; with fewer than two patients of a label where there is something to
                choose or to calibrate; where the estimator or SMOTE refuses the rows; or where the fitted estimator
                could not be loaded from a checkpoint (see ``fusion.classical.persistence``), which only shows then.
        """
        from threadpoolctl import threadpool_limits

        labels = np.asarray(y, dtype=np.int64)
        if len(np.unique(labels)) < 2:
            raise FusionError(
                f"classifier={classifier['name']}: required training rows of both labels, came {len(labels)} rows of "
                f"label number {', '.join(map(str, np.unique(labels)))} alone (counted from 0); take another split"
            )
        columns = np.arange(X.shape[1]) if columns is None else columns
        if len(columns) == 0:
            return cls(prevalence=prevalence(labels, weights), chosen={}, fitted=None, sigmoid=None)
        # Folds and runs are what is spread over the cores; threads would only fight over them with such small matrices.
        with threadpool_limits(1):
            tuned = tune(X, labels, classifier=classifier, weights=weights, patients=patients, seed=seed, choose=choose)
            fitted = FittedEstimator.fit(
                X[:, columns], labels, classifier=classifier, values=tuned.values, weights=weights, seed=seed
            )
            # Whether it can score, and be kept, shows here rather than at the end of the run.
            fitted.scores(X[:1, columns])
            fitted.state()
        return cls(prevalence=fitted.prevalence, chosen=tuned.values, fitted=fitted, sigmoid=tuned.sigmoid)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The classifier that gave this ``state()``.

        Raises:
            FusionError: Where the estimator does not load, with the versions it was fitted with and those installed.
        """
        fitted, sigmoid = state["fitted"], state["sigmoid"]
        return cls(
            prevalence=state["prevalence"],
            chosen=dict(state["chosen"]),
            fitted=None if fitted is None else FittedEstimator.from_state(fitted),
            sigmoid=None if sigmoid is None else Sigmoid.from_state(sigmoid),
        )

    def probabilities(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, F) → (N,) probability of the positive label, in [0, 1], for the prevalence of the training patients."""
        if self.fitted is None:
            return np.full(len(X), self.prevalence)
        scores = self.fitted.scores(X)
        return scores if self.sigmoid is None else self.sigmoid.probabilities(scores)

    @property
    def estimator(self) -> Any:
        """The fitted estimator, which takes ``fitted.standardize(X)``; None where there are no columns."""
        return None if self.fitted is None else self.fitted.estimator

    @property
    def linear(self) -> tuple[NDArray[np.float64], float] | None:
        """(F,) coefficients and intercept of the logit of ``probabilities`` in the columns of X as they come.

        None for what is not a logistic regression.
        """
        if self.fitted is None:
            return np.zeros(0), float(np.log(self.prevalence / (1 - self.prevalence)))
        return self.fitted.linear

    def state(self) -> dict[str, Any]:
        """Plain containers and a tensor, which ``torch.load(weights_only=True)`` reads."""
        return {
            "prevalence": self.prevalence,
            "chosen": self.chosen,
            "fitted": None if self.fitted is None else self.fitted.state(),
            "sigmoid": None if self.sigmoid is None else self.sigmoid.state(),
        }
