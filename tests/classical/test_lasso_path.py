import numpy as np
import pytest

from fusion.classical.lasso_path import LogisticPath, fit_one, fit_path


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forty rows and sixty columns, some of them copies of each other, nearly or wholly."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(40, 60))
    X[:, 20:30] = X[:, :10] + 1e-5 * rng.normal(size=(40, 10))
    X[:, 30:33] = X[:, :3]
    y = (X[:, 0] - X[:, 1] + rng.logistic(size=40) > 0).astype(int)
    return X, y, rng.choice([0.5, 1.0, 2.0], 40)


def path_of(l1_ratio: float) -> LogisticPath:
    X, y, weights = data()
    return fit_path(X, y, weights=weights, l1_ratio=l1_ratio, n_lambdas=40, min_lambda_ratio=0.01)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.1])
def test_every_point_is_a_minimum(l1_ratio: float) -> None:
    """The conditions of Karush, Kuhn and Tucker, for a convex objective sufficient."""
    X, y, weights = data()
    weights = weights / weights.sum()
    path = path_of(l1_ratio)
    means = weights @ X
    standardized = (X - means) / np.sqrt(weights @ (X - means) ** 2)
    assert len(path.lambdas) == 40
    for penalty, coefficients, intercept in zip(path.lambdas, path.coefficients, path.intercepts, strict=True):
        residuals = weights * (y - 1 / (1 + np.exp(-standardized @ coefficients - intercept)))
        slopes = standardized.T @ residuals - penalty * (1 - l1_ratio) * coefficients
        used = coefficients != 0
        np.testing.assert_allclose(slopes[used], penalty * l1_ratio * np.sign(coefficients[used]), atol=1e-8)
        assert np.abs(slopes).max() <= penalty * l1_ratio + 1e-8
        assert residuals.sum() == pytest.approx(0, abs=1e-8)


def test_path_starts_where_the_first_column_comes_in() -> None:
    path = path_of(0.5)
    assert not path.coefficients[0].any()
    assert path.coefficients[1].any()
    np.testing.assert_allclose(np.diff(np.log(path.lambdas)), np.log(0.01) / 39)


def test_between_two_penalties_coefficients_are_interpolated_and_beyond_the_ends_kept() -> None:
    X, _, _ = data()
    path = path_of(1.0)
    lambdas = np.array(
        [2 * path.lambdas[0], path.lambdas[3], (path.lambdas[3] + path.lambdas[4]) / 2, path.lambdas[-1] / 2]
    )
    expected = (X - path.means) / path.scales @ path.coefficients.T + path.intercepts
    found = path.linear_predictors(X, lambdas)
    for column, wanted in enumerate(
        (expected[:, 0], expected[:, 3], (expected[:, 3] + expected[:, 4]) / 2, expected[:, -1])
    ):
        np.testing.assert_allclose(found[:, column], wanted, atol=1e-10)


@pytest.mark.parametrize("near", [True, False])
def test_one_penalty_alone_gives_what_the_path_gives(near: bool) -> None:
    X, y, weights = data()
    path = path_of(0.5)
    start = path.coefficients[20] if near else np.zeros(60)
    found = fit_one(X, y, weights=weights, l1_ratio=0.5, penalty=float(path.lambdas[25]), start=start)
    np.testing.assert_allclose(found, path.coefficients[25], atol=1e-5)
    above = fit_one(X, y, weights=weights, l1_ratio=0.5, penalty=float(path.lambdas[0] * 1.01), start=start)
    assert not above.any()


def test_path_ends_where_a_weaker_penalty_gains_nothing() -> None:
    X, y, weights = data()
    path = fit_path(X[:, 40:43], y, weights=weights, l1_ratio=1.0, n_lambdas=100, min_lambda_ratio=1e-6)
    assert 5 <= len(path.lambdas) < 70
    short = fit_path(X[:, 40:41] * 0 + y[:, None], y, weights=weights, l1_ratio=1, n_lambdas=9, min_lambda_ratio=1e-9)
    assert len(short.lambdas) == 5
