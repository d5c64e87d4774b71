"""Reference: R 4.2 with glmnet 4.1-6. `uniform` is the same generator in both languages.

library(glmnet)
uniform <- function(count, s) {
  u <- numeric(count)
  for (k in 1:count) { s <- (16807 * s) %% 2147483647; u[k] <- s / 2147483647 }
  u - 0.5
}
plain <- list(x = matrix(uniform(60 * 12, 12345), 60, byrow = TRUE))
plain$y <- as.numeric(5 * plain$x[, 1] - 4 * plain$x[, 2] + 3 * plain$x[, 5] + 6 * uniform(60, 777) > 0.6)
shared <- matrix(uniform(48 * 6, 4242), 48, byrow = TRUE)
wide <- list(x = shared[, rep(1:6, 12)] + 0.6 * matrix(uniform(48 * 72, 999), 48, byrow = TRUE))
wide$y <- as.numeric(5 * shared[, 1] - 4 * shared[, 2] + 4 * uniform(48, 31) > 0)
show <- function(x, y, alpha, weighted, ratio) {
  n <- nrow(x)
  w <- if (weighted) 1 + (1:n) %% 3 else rep(1, n)
  f <- cv.glmnet(x, y, family = "binomial", weights = w, alpha = alpha, foldid = (1:n) %% 5 + 1, nlambda = 100,
                 lambda.min.ratio = ratio, thresh = 1e-14, maxit = 1e8)
  last <- length(f$lambda)
  print(c(last, f$index)); print(c(f$lambda.min, f$lambda.1se)); k <- c(1, 20, 40, 60, last)
  print(f$cvm[k]); print(f$cvsd[k]); print(f$nzero[k])
  print(as.vector(coef(f, s = "lambda.min"))); print(as.vector(coef(f, s = "lambda.1se")))
}
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fusion.classical.lasso import (
    Lasso,
    check_lasso,
    choose,
    cross_validated_path,
    fit_lasso,
    patient_folds,
    selection_frequency,
)
from fusion.classical.lasso_path import LogisticPath, fit_path
from fusion.errors import FusionError, InputError

SETTINGS: dict[str, Any] = {"l1_ratio": 1.0, "n_lambdas": 20, "min_lambda_ratio": 0.01}


def uniform(count: int, state: int) -> np.ndarray:
    drawn = []
    for _ in range(count):
        state = 16807 * state % 2147483647
        drawn.append(state / 2147483647 - 0.5)
    return np.array(drawn)


def plain() -> tuple[np.ndarray, np.ndarray]:
    X = uniform(60 * 12, 12345).reshape(60, 12)
    return X, (5 * X[:, 0] - 4 * X[:, 1] + 3 * X[:, 4] + 6 * uniform(60, 777) > 0.6).astype(int)


def wide() -> tuple[np.ndarray, np.ndarray]:
    """More columns than rows, in six groups of like ones."""
    shared = uniform(48 * 6, 4242).reshape(48, 6)
    X = np.tile(shared, 12) + 0.6 * uniform(48 * 72, 999).reshape(48, 72)
    return X, (5 * shared[:, 0] - 4 * shared[:, 1] + 4 * uniform(48, 31) > 0).astype(int)


def separable() -> tuple[np.ndarray, np.ndarray]:
    X, _ = plain()
    return X, (X[:, 0] > 0).astype(int)


@dataclass(frozen=True, kw_only=True)
class Reference:
    data: Any
    alpha: float
    weighted: bool
    ratio: float
    n_lambdas: int
    positions: tuple[int, int]
    """Of lambda.min and lambda.1se, from 1."""
    lambdas: tuple[float, float]
    at: tuple[int, ...]
    """Positions, from 1, of the values that follow."""
    cvm: tuple[float, ...]
    cvsd: tuple[float, ...]
    n_nonzero: tuple[int, ...]
    minimum: dict[int, float]
    """Nonzero coefficients on the columns' own scale at lambda.min, the intercept as 0, column j as j."""
    sparse: dict[int, float]
    """The same at lambda.1se."""


REFERENCES = {
    # show(plain$x, plain$y, 1, FALSE, 0.01)
    "lasso": Reference(
        data=plain,
        alpha=1.0,
        weighted=False,
        ratio=0.01,
        n_lambdas=100,
        positions=(35, 17),
        lambdas=(0.05942650625, 0.13728293706),
        at=(1, 20, 40, 60, 100),
        cvm=(1.3504579788, 1.0449037273, 0.9668546716, 1.0148044273, 1.4456544842),
        cvsd=(0.03657483147, 0.05637861077, 0.15710296974, 0.23248307270, 0.46778258648),
        n_nonzero=(0, 2, 5, 9, 12),
        minimum={0: -0.6963589792, 1: 3.5660217519, 2: -1.8712900458},
        sparse={0: -0.5255431923, 1: 2.1141560165, 2: -0.5439665673},
    ),
    # show(plain$x, plain$y, 0.5, TRUE, 0.01)
    "weighted elastic net": Reference(
        data=plain,
        alpha=0.5,
        weighted=True,
        ratio=0.01,
        n_lambdas=100,
        positions=(47, 19),
        lambdas=(0.07243957225, 0.26646025725),
        at=(1, 20, 40, 60, 100),
        cvm=(1.3557636787, 1.1223991878, 0.9971493981, 1.0179660434, 1.3351196910),
        cvsd=(0.03510578846, 0.02466486331, 0.12164201466, 0.20610703245, 0.41014884275),
        n_nonzero=(0, 2, 4, 7, 12),
        minimum={
            0: -0.63245004885,
            1: 3.60404948569,
            2: -1.67549746872,
            4: 0.26561566623,
            5: 0.37806852187,
            6: 0.05476281262,
        },
        sparse={0: -0.4734060088, 1: 1.5365252381, 2: -0.3017381326},
    ),
    # show(wide$x, wide$y, 1, FALSE, 0.01)
    "wide and correlated": Reference(
        data=wide,
        alpha=1.0,
        weighted=False,
        ratio=0.01,
        n_lambdas=100,
        positions=(43, 27),
        lambdas=(0.04037803983, 0.08499190338),
        at=(1, 20, 40, 60, 100),
        cvm=(1.4103173381, 1.1013814129, 0.9014077042, 0.9880198252, 1.5012087906),
        cvsd=(0.01359064598, 0.09572461048, 0.14481696476, 0.20176958994, 0.40520803620),
        n_nonzero=(0, 11, 12, 16, 18),
        minimum={
            0: 0.1469767444,
            14: -1.5088039935,
            31: 3.1739006593,
            32: -0.1425866113,
            34: 0.4591065859,
            40: 0.6868737785,
            41: -1.1210010169,
            42: -1.1008070912,
            43: 0.2850256873,
            50: -1.7138711722,
            53: -0.4038484807,
            56: -2.2057808965,
            68: -1.1910753086,
        },
        sparse={
            0: 0.09837203756,
            14: -1.39492865555,
            31: 1.65751185505,
            32: -0.29362363258,
            34: 0.70830970541,
            40: 0.32241713009,
            41: -0.12548279989,
            42: -0.40880028913,
            50: -0.61595966181,
            53: -0.44343643645,
            56: -1.02904385701,
            68: -0.47409937430,
        },
    ),
    # show(wide$x, wide$y, 1, TRUE, 0.01)
    "wide and weighted": Reference(
        data=wide,
        alpha=1.0,
        weighted=True,
        ratio=0.01,
        n_lambdas=100,
        positions=(49, 23),
        lambdas=(0.03402309587, 0.11403189832),
        at=(1, 20, 40, 60, 100),
        cvm=(1.3942704995, 1.0044736087, 0.8644230462, 0.8911203469, 1.4775710609),
        cvsd=(0.01235346246, 0.09202748276, 0.10836883300, 0.20446690763, 0.38365362426),
        n_nonzero=(0, 6, 10, 14, 18),
        minimum={
            0: 0.06638332821,
            2: -0.68557639833,
            14: -1.74748390201,
            31: 3.84054568012,
            32: -0.32920839782,
            34: 0.84708402789,
            41: -0.99303031101,
            42: -1.26221131476,
            50: -1.52550407783,
            56: -1.38693922931,
            68: -2.50461070780,
        },
        sparse={
            0: -0.05271566065,
            14: -1.36095186821,
            31: 0.64181150566,
            32: -0.68631280738,
            34: 1.15333676172,
            50: -0.16445734071,
            68: -1.07682288003,
        },
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_path_and_choice_are_those_of_glmnet(name: str) -> None:
    expected = REFERENCES[name]
    X, y = expected.data()
    rows = np.arange(1, len(X) + 1)
    weights = 1.0 + rows % 3 if expected.weighted else np.ones(len(X))
    fitted, path = cross_validated_path(
        X,
        y,
        weights=weights,
        folds=rows % 5,
        l1_ratio=expected.alpha,
        n_lambdas=100,
        min_lambda_ratio=expected.ratio,
    )
    chosen = [path.at_min, path.at_1se]
    at = np.array(expected.at) - 1
    assert len(path.lambdas) == expected.n_lambdas
    assert tuple(position + 1 for position in chosen) == expected.positions
    np.testing.assert_allclose(path.lambdas[chosen], expected.lambdas, rtol=1e-8)
    np.testing.assert_allclose(path.deviances[at], expected.cvm, rtol=5e-6)
    np.testing.assert_allclose(path.errors[at], expected.cvsd, rtol=5e-6)
    assert tuple(path.n_nonzero[at]) == expected.n_nonzero
    for position, coefficients in zip(chosen, (expected.minimum, expected.sparse), strict=True):
        slopes = path.coefficients[position] / fitted.scales
        found = np.array([path.intercepts[position] - slopes @ fitted.means, *slopes])
        assert set(np.flatnonzero(found)) == set(coefficients)
        np.testing.assert_allclose(found[list(coefficients)], list(coefficients.values()), atol=5e-6)


def test_a_separable_path_ends_where_glmnet_ends_it() -> None:
    # show(plain$x, as.numeric(plain$x[, 1] > 0), 1, FALSE, 1e-5)
    X, y = separable()
    _, path = cross_validated_path(
        X,
        y,
        weights=np.ones(60),
        folds=np.arange(1, 61) % 5,
        l1_ratio=1.0,
        n_lambdas=100,
        min_lambda_ratio=1e-5,
    )
    assert (len(path.lambdas), path.at_min + 1, path.at_1se + 1) == (72, 41, 21)
    np.testing.assert_allclose(path.lambdas[[path.at_min, path.at_1se]], [0.0041946069, 0.042933103], rtol=1e-7)
    np.testing.assert_allclose(path.deviances[[19, 39, 71]], [0.27690826, 0.17172597, 0.19664227], rtol=1e-6)


def test_choice_by_hand() -> None:
    """Two folds, of which one counts three times the other, and two penalties that do equally well."""
    nothing = np.zeros(2)
    lambdas = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    fitted = LogisticPath(
        means=nothing, scales=nothing, lambdas=lambdas, coefficients=np.eye(5, 2), intercepts=np.arange(5.0)
    )
    deviances = np.array([[2.0, 1.6, 1.2, 1.2, 2.0], [2.0, 1.2, 0.8, 0.8, 2.0]])
    path = choose(fitted, deviances, np.array([1.0, 3.0]))
    np.testing.assert_allclose(path.deviances, [2.0, 1.3, 0.9, 0.9, 2.0])
    # sqrt((0.3^2 + 3 * 0.1^2) / 4 / (2 - 1)), which is not enough to reach 1.3.
    np.testing.assert_allclose(path.errors, [0, 0.17320508, 0.17320508, 0.17320508, 0])
    assert (path.at_min, path.at_1se) == (2, 2)
    assert path.n_nonzero.tolist() == [1, 1, 0, 0, 0]
    wider = choose(fitted, deviances + np.array([[0.9], [-0.3]]), np.array([1.0, 3.0]))
    assert (wider.at_min, wider.at_1se) == (2, 1)


def problem(
    n_patients: int = 40, n_columns: int = 6, n_rows_each: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, outcomes, weights and patients; the first two columns say something of the outcome."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n_patients, n_columns))
    y = (2 * X[:, :2].sum(axis=1) + rng.logistic(size=n_patients) > 0.4).astype(int)
    patients = np.repeat(np.arange(n_patients), n_rows_each)
    return X[patients], y[patients], np.full(len(patients), 1 / n_rows_each), patients


def fit(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray, patients: np.ndarray, *, seed: int = 0, **changed: Any
) -> Lasso:
    settings = {**SETTINGS, "rule": "min", "n_folds": 5, **changed}
    return fit_lasso(X, y, weights=weights, patients=patients, seed=seed, **settings)


def content(lasso: Lasso) -> bytes:
    assert lasso.path is not None
    arrays = (lasso.means, lasso.scales, lasso.coefficients, *(vars(lasso.path)[name] for name in vars(lasso.path)))
    return b"".join(np.asarray(array).tobytes() for array in arrays)


def test_rule_takes_its_place_of_the_path() -> None:
    data = problem()
    for rule in ("min", "1se"):
        lasso = fit(*data, rule=rule)
        assert lasso.path is not None
        at = {"min": lasso.path.at_min, "1se": lasso.path.at_1se}[rule]
        assert lasso.rule == rule
        np.testing.assert_array_equal(lasso.coefficients, lasso.path.coefficients[at])
        assert lasso.intercept == lasso.path.intercepts[at]
        assert lasso.selected.tolist() == np.flatnonzero(lasso.path.coefficients[at]).tolist()
    assert lasso.path is not None
    assert lasso.path.at_1se < lasso.path.at_min


def test_linear_predictor_is_the_logit() -> None:
    X, y, weights, patients = problem()
    lasso = fit(X, y, weights, patients)
    by_hand = lasso.intercept + sum(
        lasso.coefficients[column] * (X[:, column] - X[:, column].mean()) / X[:, column].std() for column in range(6)
    )
    np.testing.assert_allclose(lasso.linear_predictor(X), by_hand, atol=1e-12)
    # The intercept is not penalized: the mean fitted probability is the prevalence.
    assert (1 / (1 + np.exp(-lasso.linear_predictor(X)))).mean() == pytest.approx(y.mean(), abs=1e-8)


def test_same_call_same_bytes_and_another_seed_other_folds() -> None:
    data = problem()
    assert content(fit(*data)) == content(fit(*data))
    assert content(fit(*data)) != content(fit(*data, seed=1))


def test_scale_and_origin_of_a_column_do_not_matter() -> None:
    X, y, weights, patients = problem()
    first = fit(X, y, weights, patients)
    second = fit(X * [1e-6, 1e4, 3, 1, -1, 7] + [0, 1e5, 0, -2, 0, 1], y, weights, patients)
    assert first.path is not None
    assert second.path is not None
    np.testing.assert_allclose(second.path.deviances, first.path.deviances, rtol=1e-6)
    np.testing.assert_allclose(second.coefficients, first.coefficients * [1, 1, 1, 1, -1, 1], atol=1e-6)


def test_images_of_a_patient_count_as_one_patient() -> None:
    once, thrice = fit(*problem()), fit(*problem(n_rows_each=3))
    assert once.path is not None
    assert thrice.path is not None
    np.testing.assert_allclose(thrice.path.deviances, once.path.deviances, rtol=1e-7)
    np.testing.assert_allclose(thrice.path.errors, once.path.errors, rtol=1e-6)
    np.testing.assert_allclose(thrice.coefficients, once.coefficients, atol=1e-7)


def test_folds_divide_patients_evenly_within_a_label() -> None:
    _, y, _, patients = problem(n_patients=53, n_rows_each=2)
    folds = patient_folds(y, patients, n_folds=5, seed=0)
    assert all(len(set(folds[patients == patient])) == 1 for patient in range(53))
    for label in (0, 1):
        counts = np.bincount(folds[y == label], minlength=5) / 2
        assert counts.max() - counts.min() <= 1
    # Of the patients, not of the order of the rows.
    order = np.random.default_rng(0).permutation(len(y))
    np.testing.assert_array_equal(patient_folds(y[order], patients[order], n_folds=5, seed=0), folds[order])


def test_no_more_folds_than_patients_of_the_rarer_label() -> None:
    y = np.array([0] * 20 + [1] * 3)
    folds = patient_folds(y, np.arange(23), n_folds=10, seed=0)
    assert sorted(folds[y == 1]) == [0, 1, 2]
    assert set(folds[y == 0]) == {0, 1, 2}
    X = np.random.default_rng(0).normal(size=(23, 4))
    assert np.isfinite(fit(X, y, np.ones(23), np.arange(23), n_folds=10).linear_predictor(X)).all()


def test_refuses_fewer_than_two_patients_of_a_label() -> None:
    y = np.array([0] * 10 + [1] * 3)
    patients = np.array([*range(10), 10, 10, 10])
    with pytest.raises(FusionError, match="required two training patients of each label, came 1 positive and 10 neg"):
        patient_folds(y, patients, n_folds=5, seed=0)


def test_separation_gives_a_finite_model() -> None:
    X, y, weights, patients = problem()
    lasso = fit(np.column_stack([X, y]), y, weights, patients, min_lambda_ratio=1e-6, n_lambdas=100)
    assert lasso.path is not None
    assert len(lasso.path.lambdas) < 100
    assert lasso.selected.tolist() == [6]
    assert np.isfinite(lasso.path.deviances).all()
    assert np.isfinite(lasso.path.coefficients).all()


def test_constant_column_has_no_say() -> None:
    X, y, weights, patients = problem()
    folds = patient_folds(y, patients, n_folds=5, seed=0)
    constant_outside = np.where(folds == 2, X[:, 0], 0.1)
    # The squares of the last column are too small for a number.
    odd = np.column_stack([np.full(len(y), 0.1), X, constant_outside, y * 1e-200])
    lasso = fit(odd, y, weights, patients)
    assert lasso.path is not None
    assert lasso.scales[[0, -1]].tolist() == [1, 1]
    assert (lasso.path.coefficients[:, [0, -1]] == 0).all()
    assert np.isfinite(lasso.path.deviances).all()
    without = fit(odd[:, 1:-1], y, weights, patients)
    np.testing.assert_allclose(lasso.coefficients[1:-1], without.coefficients, atol=1e-12)


@pytest.mark.parametrize("columns", ["none", "constant", "balanced"])
def test_columns_that_say_nothing_leave_the_intercept(columns: str) -> None:
    y = np.array([0, 0, 1, 1] * 6)
    X = {"none": np.empty((24, 0)), "constant": np.ones((24, 2)), "balanced": np.array([[0.0, 1.0] * 12]).T}[columns]
    data = (X, y, np.ones(24), np.arange(24))
    lasso = fit(*data)
    assert lasso.path is not None
    assert lasso.selected.tolist() == []
    np.testing.assert_allclose(lasso.linear_predictor(X), 0, atol=1e-12)
    assert (len(lasso.path.lambdas), lasso.path.at_min, lasso.path.at_1se) == (1, 0, 0)
    assert lasso.path.coefficients.shape == (1, X.shape[1])
    assert lasso.path.deviances[0] == pytest.approx(2 * np.log(2), rel=0.05)
    shares = frequency(*data, lasso)
    assert shares.tolist() == [0.0] * X.shape[1]


def frequency(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray, patients: np.ndarray, lasso: Lasso, **changed: Any
) -> np.ndarray:
    settings = {"l1_ratio": 1.0, "n_bootstrap": 60, "seed": 0, **changed}
    return selection_frequency(X, y, weights=weights, patients=patients, lasso=lasso, **settings)


def test_frequency_tells_signal_from_noise() -> None:
    data = problem(n_patients=120, n_columns=30)
    lasso = fit(*data, rule="1se")
    shares = frequency(*data, lasso)
    assert shares.shape == (30,)
    assert (shares[:2] > 0.95).all()
    assert (shares[2:] < 0.9).all()
    assert shares[2:].mean() < 0.15
    assert shares.tobytes() == frequency(*data, lasso).tobytes()
    assert shares.tobytes() != frequency(*data, lasso, seed=1).tobytes()


def test_frequency_draws_patients() -> None:
    once, thrice = problem(), problem(n_rows_each=3)
    np.testing.assert_array_equal(frequency(*once, fit(*once)), frequency(*thrice, fit(*thrice)))


def test_frequency_is_that_of_whole_paths_on_the_resamples() -> None:
    """The short way to the chosen penalty and the whole path agree on what is selected there."""
    X, y, _, patients = problem()
    weights = 1.0 + np.arange(40) % 3
    lasso = fit(X, y, weights, patients)
    assert lasso.path is not None
    groups = [np.flatnonzero(y == label) for label in (0, 1)]
    rng = np.random.default_rng(0)
    counts = np.zeros(6)
    penalty = lasso.path.lambdas[lasso.path.at_min]
    for _ in range(5):
        rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        resample = {"X": X[rows], "y": y[rows], "weights": weights[rows], "l1_ratio": 1.0}
        first = fit_path(**resample, n_lambdas=2, min_lambda_ratio=0.5).lambdas[0]
        path = fit_path(**resample, n_lambdas=4, min_lambda_ratio=penalty / first)
        counts += path.coefficients[-1] != 0
    assert len(set(counts)) > 2
    np.testing.assert_allclose(frequency(X, y, weights, patients, lasso, n_bootstrap=5), counts / 5)


def test_frequency_refuses_a_lasso_without_its_path() -> None:
    data = problem()
    with pytest.raises(ValueError, match="required a lasso with its path"):
        frequency(*data, Lasso.from_state(fit(*data).state()))


def test_state_is_plain_and_gives_the_same_model() -> None:
    data = problem()
    lasso = fit(*data, rule="1se")
    restored = Lasso.from_state(json.loads(json.dumps(lasso.state())))
    assert restored.path is None
    assert restored.rule == "1se"
    assert restored.linear_predictor(data[0]).tobytes() == lasso.linear_predictor(data[0]).tobytes()
    assert lasso.path is not None
    assert content(restored.with_path(lasso.path)) == content(lasso)
    empty = fit(np.empty((40, 0)), *data[1:])
    assert Lasso.from_state(empty.state()).linear_predictor(np.empty((3, 0))).tolist() == [empty.intercept] * 3


def test_settings_are_refused_all_at_once() -> None:
    with pytest.raises(InputError, match="selection: 5 problems") as caught:
        check_lasso(l1_ratio=0, rule="max", n_lambdas=1, min_lambda_ratio=1, n_folds=1)
    assert [problem.where.removeprefix("selection.") for problem in caught.value.problems] == [
        "l1_ratio",
        "lambda",
        "n_lambdas",
        "min_lambda_ratio",
        "n_folds",
    ]
    check_lasso(l1_ratio=1, rule="1se", n_lambdas=2, min_lambda_ratio=0.01, n_folds=2)
    with pytest.raises(InputError, match=r"selection\.l1_ratio: required a number above 0"):
        fit(*problem(), l1_ratio=1.5)
