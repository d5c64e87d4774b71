from itertools import product

import numpy as np
import pytest

from fusion.classical.lasso_newton import LogisticPoint, LogisticProblem, minimize, minimize_quadratic
from fusion.errors import FusionError


def by_trying_all_signs(curvature: np.ndarray, linear: np.ndarray, l1: float) -> np.ndarray:
    found = [np.zeros(len(linear))]
    for signs in product([-1, 0, 1], repeat=len(linear)):
        active = np.flatnonzero(signs)
        x = np.zeros(len(linear))
        x[active] = np.linalg.solve(curvature[np.ix_(active, active)], linear[active] - l1 * np.array(signs)[active])
        if (x * signs >= 0).all():
            found.append(x)
    return min(found, key=lambda x: x @ curvature @ x / 2 - linear @ x + l1 * np.abs(x).sum())


@pytest.mark.parametrize("seed", range(12))
def test_quadratic_minimum_is_the_best_of_all_signs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(8, 5)) + 2 * rng.normal(size=(8, 1))
    curvature, linear = rows.T @ rows, rows.T @ rng.normal(size=8)
    expected = by_trying_all_signs(curvature, linear, 0.7)
    for start in (np.zeros(5), 3 * rng.normal(size=5)):
        np.testing.assert_allclose(minimize_quadratic(curvature, linear, 0.7, start), expected, atol=1e-10)


@pytest.mark.parametrize("seed", range(12))
def test_quadratic_minimum_where_many_coordinates_are_nearly_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(20, 4)) @ rng.normal(size=(4, 30)) + 0.01 * rng.normal(size=(20, 30))
    curvature, linear = rows.T @ rows + 1e-6 * np.eye(30), rows.T @ rng.normal(size=20)
    found = minimize_quadratic(curvature, linear, 0.1, rng.normal(size=30) * (rng.random(30) < 0.5))
    pull = linear - curvature @ found
    np.testing.assert_allclose(pull[found != 0], 0.1 * np.sign(found[found != 0]), atol=1e-8)
    assert np.abs(pull).max() <= 0.1 + 1e-8


def problem(y: np.ndarray) -> LogisticProblem:
    columns = np.random.default_rng(0).normal(size=(10, len(y)))
    return LogisticProblem(columns=columns, y=y.astype(float), weights=np.full(len(y), 1 / len(y)))


def test_null_point_is_the_prevalence() -> None:
    null = LogisticPoint.null(problem(np.array([0, 0, 0, 1])))
    assert null.intercept == pytest.approx(np.log(1 / 3))
    assert null.loss == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert null.intercept_slope == pytest.approx(0, abs=1e-15)


def test_a_start_far_off_ends_at_the_same_minimum() -> None:
    rows = problem(np.arange(30) % 3 == 0)
    near = minimize(rows, LogisticPoint.null(rows), l1=0.02, l2=0.01)
    assert 0 < np.count_nonzero(near.coefficients) < 10
    # Far enough for all fitted probabilities to be 0 or 1, where a whole Newton step leads nowhere.
    far = minimize(rows, LogisticPoint.of(rows, np.full(10, 30.0), -20.0), l1=0.02, l2=0.01)
    np.testing.assert_allclose(far.coefficients, near.coefficients, atol=1e-7)
    assert far.intercept == pytest.approx(near.intercept, abs=1e-7)


def test_says_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion.classical.lasso_newton._MAX_STEPS", 1)
    rows = problem(np.arange(30) % 3 == 0)
    with pytest.raises(FusionError, match=r"required a minimum to within 1e-09, came an iteration .* at lambda 0\.03"):
        minimize(rows, LogisticPoint.null(rows), l1=0.02, l2=0.01)
