"""The minimum of a penalized logistic likelihood, to the last digits, for one strength of the penalty.

Own code on purpose: of scikit-learn's logistic regressions liblinear penalizes the intercept, saga has the elastic net
but takes long to settle where columns are nearly the same, as radiomics features are, and neither follows a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from fusion.errors import FusionError

# Largest violation of the optimality conditions that counts as none. Gradients are of standardized columns: below 1.
_TOLERANCE = 1e-9
_MAX_STEPS = 200
_MAX_HALVINGS = 40
# Of columns that come in at one step, most turn round when they are copies of each other, nearly: few at a time.
_N_COMING = 8
# Of the mean curvature: the step is defined for columns that are copies of each other too, the minimum stays as it is.
_RIDGE = 1e-9
# Curvatures are at least this, where fitted probabilities reach 0 or 1.
_SMALLEST_CURVATURE = 1e-12

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class LogisticProblem:
    """Rows to fit.

    Attributes:
        columns: (F, N) standardized features, a row per feature.
        y: (N,) 0 or 1.
        weights: (N,) summing to 1.
    """

    columns: Array
    y: Array
    weights: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class LogisticPoint:
    """Coefficients with what follows from them.

    Attributes:
        coefficients: (F,)
        intercept: Not penalized.
        probabilities: (N,) fitted.
        loss: Weighted mean of minus the log-likelihood; lower is better.
        slopes: (F,) how fast the loss falls with each coefficient, the penalty aside.
        intercept_slope: The same of the intercept.
    """

    coefficients: Array
    intercept: float
    probabilities: Array
    loss: float
    slopes: Array
    intercept_slope: float

    @classmethod
    def of(cls, problem: LogisticProblem, coefficients: Array, intercept: float) -> Self:
        """The point of these coefficients."""
        used = np.flatnonzero(coefficients)
        logits = coefficients[used] @ problem.columns[used] + intercept
        softened = np.logaddexp(0, logits)
        probabilities = np.exp(logits - softened)
        residuals = problem.weights * (problem.y - probabilities)
        return cls(
            coefficients=coefficients,
            intercept=intercept,
            probabilities=probabilities,
            loss=float(problem.weights @ (softened - problem.y * logits)),
            slopes=problem.columns @ residuals,
            intercept_slope=float(residuals.sum()),
        )

    @classmethod
    def null(cls, problem: LogisticProblem) -> Self:
        """The best point whose coefficients are all 0."""
        prevalence = problem.weights @ problem.y
        return cls.of(problem, np.zeros(len(problem.columns)), float(np.log(prevalence / (1 - prevalence))))


def minimize(problem: LogisticProblem, start: LogisticPoint, *, l1: float, l2: float) -> LogisticPoint:
    """Minimize ``loss + l1 * |coefficients|_1 + l2 / 2 * |coefficients|_2^2``.

    Newton's method for penalized likelihoods (Friedman, Hastie & Tibshirani, J Stat Softw 33(1), 2010, section 3):
    each step minimizes the penalized quadratic approximation over the columns that are in or want to come in, and is
    halved until the objective falls. It ends when all columns, those left aside too, meet the optimality conditions.

    Args:
        problem: With both values of y.
        start: Where to start; the nearer, the faster.
        l1, l2: l1 above 0, l2 at least 0.

    Raises:
        FusionError: If it does not end.
    """
    point = start
    for _ in range(_MAX_STEPS):
        pull = point.slopes - l2 * point.coefficients
        inside = point.coefficients != 0
        violation = np.where(inside, np.abs(pull - l1 * np.sign(point.coefficients)), np.abs(pull) - l1)
        largest = max(violation.max(initial=0.0), abs(point.intercept_slope))
        if largest <= _TOLERANCE:
            return point
        following = _step(problem, point, _working_set(inside, violation), l1, l2)
        if following is None:
            break
        point = following
    raise FusionError(
        f"LASSO: required a minimum to within {_TOLERANCE:.0e}, came an iteration that stays {largest:.1e} off it at "
        f"lambda {l1 + l2:.3g}; raise selection.min_lambda_ratio, or look for columns with extreme values"
    )


def _working_set(inside: NDArray[np.bool_], violation: Array) -> NDArray[np.intp]:
    """Columns that a step may move: those inside, and of those that want to come in the ones that want it most."""
    coming = np.flatnonzero(~inside & (violation > 0))
    room = max(_N_COMING, int(inside.sum()) // 4)
    if len(coming) > room:
        coming = coming[np.argsort(-violation[coming], kind="stable")[:room]]
    return np.sort(np.concatenate([np.flatnonzero(inside), coming]))


def minimize_quadratic(curvature: Array, linear: Array, l1: float, start: Array) -> Array:
    """Minimize ``x @ curvature @ x / 2 - linear @ x + l1 * |x|_1``, exactly.

    An active set with signs, each face of the norm solved as linear equations (feature-sign search: Lee, Battle, Raina
    & Ng, NIPS 2006), stopping at the first coordinate that would change its sign.

    Args:
        curvature: (K, K) positive definite.
        linear: (K,)
        l1: Above 0.
        start: (K,)

    Returns:
        (K,) the minimum; after more than ten changes of the active set a coordinate the best point so far.
    """
    x = start.copy()
    pull = linear - curvature @ x
    signs = np.where((x != 0) | (np.abs(pull) > l1), _directions(x, pull), 0.0)
    for _ in range(10 * len(x) + 10):
        active = np.flatnonzero(signs)
        goal = np.zeros_like(x)
        goal[active] = _solve(curvature[np.ix_(active, active)], linear[active] - l1 * signs[active])
        crossing = active[goal[active] * signs[active] <= 0]
        if crossing.size:
            # A coordinate that has just come in and would go the wrong way stops the step at once and leaves again.
            share = np.abs(x[crossing]) / np.maximum(np.abs(x[crossing] - goal[crossing]), np.finfo(float).tiny)
            x += share.min() * (goal - x)
            leaving = crossing[share == share.min()]
            x[leaving] = signs[leaving] = 0.0
            continue
        x = goal
        pull = linear - curvature @ x
        entering = (signs == 0) & (np.abs(pull) > l1 + _TOLERANCE / 10)
        if not entering.any():
            break
        signs[entering] = np.sign(pull[entering])
    return x


def _directions(x: Array, pull: Array) -> Array:
    """Signs of the coordinates; of those at 0, the way they are pulled."""
    return np.where(x != 0, np.sign(x), np.sign(pull))


def _solve(matrix: Array, right: Array) -> Array:
    """Of a positive definite matrix, which is overwritten. Directly, since the small matrices here are many."""
    if not len(right):
        return right
    _, solution, failed = dposv(matrix.T, right, overwrite_a=True)
    if failed:
        raise FusionError(
            "LASSO: required columns whose curvature can be told from 0, came a matrix that is not positive definite; "
            "look for columns with extreme values"
        )
    return np.asarray(solution)


def _step(
    problem: LogisticProblem, point: LogisticPoint, working: NDArray[np.intp], l1: float, l2: float
) -> LogisticPoint | None:
    columns, before = problem.columns[working], point.coefficients[working]
    spread = np.maximum(
        problem.weights * point.probabilities * (1 - point.probabilities), problem.weights * _SMALLEST_CURVATURE
    )
    total = spread.sum()
    halved = columns * np.sqrt(spread)
    cross = columns @ spread
    # The intercept is solved for in closed form, which leaves a problem of the coefficients alone.
    curvature = halved @ halved.T - np.outer(cross, cross / total)
    curvature.flat[:: len(working) + 1] += l2 + _RIDGE * total
    slopes = point.slopes[working] - l2 * before - cross / total * point.intercept_slope
    change = minimize_quadratic(curvature, curvature @ before + slopes, l1, before) - before
    change_intercept = float((point.intercept_slope - cross @ change) / total)
    return _search(problem, point, working, change, change_intercept, l1, l2)


def _search(
    problem: LogisticProblem,
    point: LogisticPoint,
    working: NDArray[np.intp],
    change: Array,
    change_intercept: float,
    l1: float,
    l2: float,
) -> LogisticPoint | None:
    """The first of the halved steps that lowers the objective, beyond rounding; None where there is none."""

    def objective(at: LogisticPoint) -> float:
        inside = at.coefficients[working]
        return float(at.loss + l1 * np.abs(inside).sum() + l2 / 2 * (inside @ inside))

    limit = objective(point) * (1 + 1e-14)
    share = 1.0
    for _ in range(_MAX_HALVINGS):
        coefficients = np.zeros_like(point.coefficients)
        coefficients[working] = point.coefficients[working] + share * change
        candidate = LogisticPoint.of(problem, coefficients, point.intercept + share * change_intercept)
        if objective(candidate) <= limit:
            return candidate
        share /= 2
    return None
