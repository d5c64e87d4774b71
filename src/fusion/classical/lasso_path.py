"""The elastic-net logistic path: coefficients from the strongest penalty, where all are 0, down to the weakest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.classical.lasso_newton import LogisticPoint, LogisticProblem, minimize

# glmnet.control(): the path ends where it explains all of the deviance but this (devmax), or hardly more than one
# penalty before (fdev), though not before so many penalties (mnlam). Below lie perfect separation and its troubles.
_ENOUGH_EXPLAINED = 0.999
_SMALLEST_GAIN = 1e-5
_N_AT_LEAST = 5
# Slope of a standardized column below which it is rounding.
_NO_SLOPE = 1e-10

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Standardized:
    """Features as the penalty sees them.

    Attributes:
        means: (F,) weighted.
        scales: (F,) weighted standard deviations (with N, not N - 1); 1 for a constant column.
        varying: (F,) whether the column is not constant. A constant one has the coefficient 0.
        problem: Of the varying columns.
    """

    means: Array
    scales: Array
    varying: NDArray[np.bool_]
    problem: LogisticProblem

    @classmethod
    def of(cls, X: Array, y: Array, weights: Array) -> Standardized:
        """Of (N, F) rows with weights above 0."""
        shares = weights / weights.sum()
        means = shares @ X
        # Compared, since the computed deviation of equal numbers need not be 0: that of three times 0.1 is 1e-17.
        deviations = np.sqrt(shares @ (X - means) ** 2)
        varying = (np.ptp(X, axis=0) > 0) & (deviations > 0)
        scales = np.where(varying, deviations, 1.0)
        columns = np.ascontiguousarray(((X - means) / scales).T[varying])
        problem = LogisticProblem(columns=columns, y=y.astype(np.float64), weights=shares)
        return cls(means=means, scales=scales, varying=varying, problem=problem)

    def spread(self, coefficients: Array) -> Array:
        """(..., F) coefficients of all columns from those of the varying ones."""
        full = np.zeros((*coefficients.shape[:-1], len(self.varying)))
        full[..., self.varying] = coefficients
        return full


@dataclass(frozen=True, kw_only=True)
class LogisticPath:
    """A path of L penalties.

    Attributes:
        means, scales: (F,) of the standardization; a constant column has the scale 1.
        lambdas: (L,) descending; (1,) where no column says anything of the outcome, and the intercept stands alone.
        coefficients: (L, F) per standard deviation.
        intercepts: (L,) the logit at the means.
    """

    means: Array
    scales: Array
    lambdas: Array
    coefficients: Array
    intercepts: Array

    def linear_predictors(self, X: Array, lambdas: Array) -> Array:
        """(N, len(lambdas)) logits of (N, F) rows.

        Between two penalties of the path the coefficients are interpolated, beyond its ends they are those of the
        end, as glmnet's ``predict(s=)`` has it.
        """
        logits = (X - self.means) / self.scales @ self.coefficients.T + self.intercepts
        positions = np.interp(-lambdas, -self.lambdas, np.arange(len(self.lambdas)))
        below = np.floor(positions).astype(np.intp)
        share = positions - below
        interpolated: Array = (1 - share) * logits[:, below] + share * logits[:, np.ceil(positions).astype(np.intp)]
        return interpolated

    def spread(self, columns: NDArray[np.intp], n_columns: int) -> LogisticPath:
        """The same path for rows of more columns, of which it uses some: the others have the coefficient 0.

        Args:
            columns: (F,) where its own are among them.
            n_columns: How many there are.
        """
        means, scales = np.zeros(n_columns), np.ones(n_columns)
        means[columns], scales[columns] = self.means, self.scales
        coefficients = np.zeros((len(self.lambdas), n_columns))
        coefficients[:, columns] = self.coefficients
        return LogisticPath(
            means=means, scales=scales, lambdas=self.lambdas, coefficients=coefficients, intercepts=self.intercepts
        )


def fit_path(
    X: Array, y: Array, *, weights: Array, l1_ratio: float, n_lambdas: int, min_lambda_ratio: float
) -> LogisticPath:
    """Fit the path of ``loss + lambda * (l1_ratio * |b|_1 + (1 - l1_ratio) / 2 * |b|_2^2)``.

    As R's ``glmnet(X, y, family="binomial", weights=, alpha=l1_ratio, nlambda=, lambda.min.ratio=)`` (Friedman, Hastie
    & Tibshirani, J Stat Softw 33(1), 2010): columns standardized with the weights, the intercept not penalized, lambdas
    evenly spaced on the log scale from the smallest that keeps every coefficient at 0, the path ended early where it
    explains (nearly) everything.

    Args:
        X: (N, F) finite; F may be 0.
        y: (N,) 0 or 1, both present.
        weights: (N,) above 0, any sum.
        l1_ratio: In (0, 1].
        n_lambdas: At least 2.
        min_lambda_ratio: The last lambda over the first, in (0, 1).
    """
    standardized = Standardized.of(X, y, weights)
    null = LogisticPoint.null(standardized.problem)
    steepest = float(np.abs(null.slopes).max(initial=0.0))
    if steepest < _NO_SLOPE:
        lambdas, points = np.array([steepest / l1_ratio]), [null]
    else:
        lambdas = steepest / l1_ratio * np.geomspace(1, min_lambda_ratio, n_lambdas)
        points = [null, *_descend(standardized.problem, null, lambdas, l1_ratio)]
    return LogisticPath(
        means=standardized.means,
        scales=standardized.scales,
        lambdas=lambdas[: len(points)],
        coefficients=standardized.spread(np.array([point.coefficients for point in points])),
        intercepts=np.array([point.intercept for point in points]),
    )


def fit_one(X: Array, y: Array, *, weights: Array, l1_ratio: float, penalty: float, start: Array) -> Array:
    """(F,) coefficients per standard deviation at one lambda, from (F,) ones that may be near; the rest as above."""
    standardized = Standardized.of(X, y, weights)
    intercept = LogisticPoint.null(standardized.problem).intercept
    near = LogisticPoint.of(standardized.problem, start[standardized.varying], intercept)
    found = minimize(standardized.problem, near, l1=penalty * l1_ratio, l2=penalty * (1 - l1_ratio))
    return standardized.spread(found.coefficients)


def _descend(problem: LogisticProblem, null: LogisticPoint, lambdas: Array, l1_ratio: float) -> Iterator[LogisticPoint]:
    """Points from the second lambda on, each started from those before."""
    before, point = null, null
    for position, penalty in enumerate(lambdas[1:], start=1):
        start = point
        if position > 1:
            share = (lambdas[position] - lambdas[position - 1]) / (lambdas[position - 1] - lambdas[position - 2])
            start = _further(problem, before, point, share)
        before, point = point, minimize(problem, start, l1=penalty * l1_ratio, l2=penalty * (1 - l1_ratio))
        yield point
        gain = (before.loss - point.loss) / null.loss
        explained = 1 - point.loss / null.loss
        if position + 1 >= _N_AT_LEAST and (explained > _ENOUGH_EXPLAINED or gain < _SMALLEST_GAIN):
            return


def _further(problem: LogisticProblem, before: LogisticPoint, point: LogisticPoint, share: float) -> LogisticPoint:
    """Where the path would be if it went straight on, which saves a third of the steps; signs stay as they are."""
    straight = point.coefficients + share * (point.coefficients - before.coefficients)
    usable = (before.coefficients != 0) & (point.coefficients * straight > 0)
    coefficients = np.where(usable, straight, point.coefficients)
    return LogisticPoint.of(problem, coefficients, point.intercept + share * (point.intercept - before.intercept))
