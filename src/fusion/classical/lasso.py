"""LASSO and elastic-net logistic regression whose penalty is chosen by cross-validation over patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from fusion.classical.lasso_path import LogisticPath, fit_one, fit_path
from fusion.errors import FusionError, InputError, Problem

Rule = Literal["min", "1se"]
# glmnet's bound of the probabilities that a held-out deviance is taken of: one surprise costs 23 at most.
_SMALLEST_PROBABILITY = 1e-5

Array = NDArray[np.float64]
# Of some rows and their patients, the columns that may be used: filters that look at no other rows.
Keep = Callable[[NDArray[np.intp], NDArray[np.int64]], NDArray[np.intp]]


@dataclass(frozen=True, kw_only=True)
class LassoPath:
    """A path of L penalties with its cross-validation.

    Attributes:
        lambdas: (L,) descending; (1,) where no column says anything of the outcome.
        coefficients: (L, F) per standard deviation, fitted on all rows.
        intercepts: (L,) the logit at the columns' means.
        deviances: (L,) mean binomial deviance of held-out rows (glmnet's ``cvm``); lower is better.
        errors: (L,) its standard error over the folds (``cvsd``).
        n_nonzero: (L,) columns in use.
        at_min: Position of ``lambda.min``: the smallest deviance, the strongest penalty among equals.
        at_1se: Position of ``lambda.1se``: the strongest penalty within one standard error of that deviance.
    """

    lambdas: Array
    coefficients: Array
    intercepts: Array
    deviances: Array
    errors: Array
    n_nonzero: NDArray[np.int64]
    at_min: int
    at_1se: int

    def at(self, rule: Rule) -> int:
        """Position of the penalty that the rule takes."""
        return {"min": self.at_min, "1se": self.at_1se}[rule]


@dataclass(frozen=True, kw_only=True)
class Lasso:
    """A fitted penalized logistic regression.

    Attributes:
        means, scales: (F,) weighted means and standard deviations of the training rows; a constant column's scale is 1.
        coefficients: (F,) change of the logit per standard deviation.
        intercept: The logit at the means.
        rule: Which penalty of the path it is.
        path: Where it was chosen; None once restored from its state.
    """

    means: Array
    scales: Array
    coefficients: Array
    intercept: float
    rule: Rule
    path: LassoPath | None

    @property
    def selected(self) -> NDArray[np.intp]:
        """Columns whose coefficient is not 0, ascending."""
        return np.flatnonzero(self.coefficients)

    def linear_predictor(self, X: Array) -> Array:
        """(N,) logits of (N, F) rows; higher is more likely positive."""
        logits: Array = (X - self.means) / self.scales @ self.coefficients + self.intercept
        return logits

    def with_path(self, path: LassoPath) -> Self:
        """The same with the path that it was chosen on."""
        return replace(self, path=path)

    def state(self) -> dict[str, Any]:
        """Plain content for a checkpoint, without the path."""
        arrays = {name: getattr(self, name).tolist() for name in ("means", "scales", "coefficients")}
        return {**arrays, "intercept": self.intercept, "rule": self.rule}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What gave ``state``."""
        arrays = {name: np.array(state[name], dtype=np.float64) for name in ("means", "scales", "coefficients")}
        return cls(**arrays, intercept=state["intercept"], rule=state["rule"], path=None)


def check_lasso(*, l1_ratio: float, rule: str, n_lambdas: int, min_lambda_ratio: float, n_folds: int) -> None:
    """Refuse settings without a meaning, all at once.

    Raises:
        InputError: With every setting that is out of range.
    """
    checks = (
        ("l1_ratio", l1_ratio, _is_real(l1_ratio) and 0 < l1_ratio <= 1, "a number above 0, up to 1 (1 is the LASSO)"),
        ("lambda", rule, rule in get_args(Rule), "one of min, 1se"),
        ("n_lambdas", n_lambdas, _is_whole(n_lambdas) and n_lambdas >= 2, "a whole number from 2"),
        (
            "min_lambda_ratio",
            min_lambda_ratio,
            _is_real(min_lambda_ratio) and 0 < min_lambda_ratio < 1,
            "a number between 0 and 1",
        ),
        ("n_folds", n_folds, _is_whole(n_folds) and n_folds >= 2, "a whole number from 2"),
    )
    problems = [
        Problem(where=f"selection.{name}", required=required, came=repr(came))
        for name, came, good, required in checks
        if not good
    ]
    if problems:
        raise InputError("selection", problems, "Mend conf/selection/*.yaml or override it on the command line.")


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def fit_lasso(
    X: Array,
    y: NDArray[Any],
    *,
    weights: Array,
    patients: NDArray[np.int64],
    l1_ratio: float,
    rule: Rule,
    n_lambdas: int,
    min_lambda_ratio: float,
    n_folds: int,
    seed: int,
    keep: Keep | None = None,
) -> Lasso:
    """Fit the path, and take the penalty that cross-validation over patients points at.

    As R's ``cv.glmnet(X, y, family="binomial", weights=, alpha=l1_ratio, nlambda=, lambda.min.ratio=, foldid=)`` with
    ``foldid`` from ``patient_folds``.

    Args:
        X: (N, F) finite; F may be 0.
        y: (N,) 0 or 1, the same for all rows of a patient.
        weights: (N,) above 0, any sum.
        patients: (N,) index of the row's patient.
        l1_ratio: Share of the absolute part in the penalty, in (0, 1]; 1 is the LASSO.
        rule: ``min`` for the smallest deviance, ``1se`` for the sparser model within one standard error of it.
        n_lambdas: Length of the path, which ends early where it explains nearly everything.
        min_lambda_ratio: The last lambda over the first.
        n_folds: At most; see ``patient_folds``.
        seed: Of the division into folds.
        keep: Filters of the columns; None keeps all. They are run anew on the rows that each fold fits on: filters that
            had seen the outcome of the rows held out would make their deviance too good (Demircioglu, Insights Imaging
            12:172, 2021). A column that is filtered out has a coefficient of 0.

    Raises:
        InputError: For settings out of range.
        FusionError: With fewer than two patients of a label.
    """
    check_lasso(l1_ratio=l1_ratio, rule=rule, n_lambdas=n_lambdas, min_lambda_ratio=min_lambda_ratio, n_folds=n_folds)
    folds = patient_folds(y, patients, n_folds=n_folds, seed=seed)
    fitted, path = cross_validated_path(
        X,
        y,
        weights=weights,
        folds=folds,
        l1_ratio=l1_ratio,
        n_lambdas=n_lambdas,
        min_lambda_ratio=min_lambda_ratio,
        keep=keep and (lambda rows: keep(rows, patients[rows])),
    )
    at = path.at(rule)
    return Lasso(
        means=fitted.means,
        scales=fitted.scales,
        coefficients=path.coefficients[at],
        intercept=float(path.intercepts[at]),
        rule=rule,
        path=path,
    )


def patient_folds(y: NDArray[Any], patients: NDArray[np.int64], *, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Deal the patients of each label to folds, evenly to within one patient.

    There are ``n_folds`` folds, or as many as the rarer label has patients where those are fewer: every fold then
    holds out both labels and trains on both.

    Returns:
        (N,) fold of each row, from 0.

    Raises:
        FusionError: With fewer than two patients of a label.
    """
    groups, rows = _patients_by_label(y, patients)
    fewest = min(len(group) for group in groups)
    if fewest < 2:
        raise FusionError(
            f"LASSO: required two training patients of each label, came {len(groups[1])} positive and "
            f"{len(groups[0])} negative; choose a split with more training patients, or a model without selection"
        )
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(group) for group in groups])
    fold_of = np.empty(len(order), dtype=np.int64)
    fold_of[order] = np.arange(len(order)) % min(n_folds, fewest)
    return fold_of[rows]


def cross_validated_path(
    X: Array,
    y: NDArray[Any],
    *,
    weights: Array,
    folds: NDArray[np.int64],
    l1_ratio: float,
    n_lambdas: int,
    min_lambda_ratio: float,
    keep: Callable[[NDArray[np.intp]], NDArray[np.intp]] | None = None,
) -> tuple[LogisticPath, LassoPath]:
    """The path of all rows, with the deviance of the rows that each fold holds out.

    Each fold fits a path of its own, standardized by itself and from a first lambda of its own, and is read at the
    lambdas of all rows. A fold counts by the weight of its rows (``cv.glmnet`` with ``grouped=TRUE``).

    Args:
        X, y, weights, l1_ratio, n_lambdas, min_lambda_ratio: As in ``fit_lasso``.
        folds: (N,) from 0, at least two, each with both labels outside it.
        keep: Of some rows, the columns that pass filters fitted on them; None keeps all.
    """
    path_of = partial(fit_path, l1_ratio=l1_ratio, n_lambdas=n_lambdas, min_lambda_ratio=min_lambda_ratio)

    def fit(rows: NDArray[np.intp], n_columns: int) -> LogisticPath:
        columns = np.arange(X.shape[1]) if keep is None else keep(rows)
        columns = columns[:n_columns]
        path = path_of(X[np.ix_(rows, columns)], y[rows], weights=weights[rows])
        return path.spread(columns, X.shape[1])

    fitted = fit(np.arange(len(X)), X.shape[1])
    # A lone lambda is that of the intercept alone, and so it is in the folds.
    n_columns = X.shape[1] if len(fitted.lambdas) > 1 else 0
    deviances, sizes = [], []
    for fold in range(int(folds.max()) + 1):
        inside = folds == fold
        path = fit(np.flatnonzero(~inside), n_columns)
        logits = path.linear_predictors(X[inside], fitted.lambdas)
        deviances.append(np.average(_deviance(y[inside], logits), axis=0, weights=weights[inside]))
        sizes.append(weights[inside].sum())
    return fitted, choose(fitted, np.array(deviances), np.array(sizes))


def choose(fitted: LogisticPath, deviances: Array, sizes: Array) -> LassoPath:
    """Sum up held-out deviances over folds, and choose by them.

    Args:
        fitted: The path of all rows.
        deviances: (n_folds, L) mean of each fold's rows.
        sizes: (n_folds,) weight of each fold's rows.
    """
    mean = np.average(deviances, axis=0, weights=sizes)
    error = np.sqrt(np.average((deviances - mean) ** 2, axis=0, weights=sizes) / (len(sizes) - 1))
    at_min = int(np.argmin(mean))
    return LassoPath(
        lambdas=fitted.lambdas,
        coefficients=fitted.coefficients,
        intercepts=fitted.intercepts,
        deviances=mean,
        errors=error,
        n_nonzero=(fitted.coefficients != 0).sum(axis=1),
        at_min=at_min,
        at_1se=int(np.argmax(mean <= mean[at_min] + error[at_min])),
    )


def selection_frequency(
    X: Array,
    y: NDArray[Any],
    *,
    weights: Array,
    patients: NDArray[np.int64],
    lasso: Lasso,
    l1_ratio: float,
    n_bootstrap: int,
    seed: int,
    keep: Keep | None = None,
) -> Array:
    """How often a column is selected when the patients are drawn again, at the penalty that was chosen on all of them.

    Args:
        X, y, weights, patients, l1_ratio: As ``lasso`` was fitted with.
        lasso: With its path.
        n_bootstrap: Resamples with replacement, of the patients of each label; at least 1.
        seed: Of the resamples.
        keep: Filters, run anew on every resample; None keeps all columns.

    Returns:
        (F,) share of resamples whose coefficient is not 0, in [0, 1]; higher is more stable.

    Raises:
        ValueError: For a lasso without its path, which does not know its penalty.
    """
    counts = np.zeros(X.shape[1])
    groups, rows = _patients_by_label(y, patients)
    rows_of = [np.flatnonzero(rows == patient) for patient in range(int(rows.max()) + 1)]
    rng = np.random.default_rng(seed)
    for _ in range(n_bootstrap):
        drawn = np.concatenate([rng.choice(group, len(group)) for group in groups])
        # A patient drawn twice is two patients.
        taken = np.concatenate([rows_of[patient] for patient in drawn])
        as_patients = np.repeat(np.arange(len(drawn)), [len(rows_of[patient]) for patient in drawn])
        kept = selected_again(X, y, taken, as_patients, weights=weights, lasso=lasso, l1_ratio=l1_ratio, keep=keep)
        counts[kept] += 1
    return counts / n_bootstrap


def selected_again(
    X: Array,
    y: NDArray[Any],
    rows: NDArray[np.intp],
    patients: NDArray[np.int64],
    *,
    weights: Array,
    lasso: Lasso,
    l1_ratio: float,
    keep: Keep | None = None,
) -> NDArray[np.intp]:
    """Columns that filters and LASSO keep on some of the rows, at the penalty that was chosen on all of them.

    Args:
        X, y, weights, l1_ratio, keep: As ``lasso`` was fitted with.
        rows: (M,) which rows; one may come several times.
        patients: (M,) index of each one's patient.
        lasso: With its path.

    Raises:
        ValueError: For a lasso without its path, which does not know its penalty.
    """
    if lasso.path is None:
        raise ValueError("selection: required a lasso with its path, came one restored from its state")
    if len(lasso.path.lambdas) == 1:
        return np.empty(0, dtype=np.intp)
    columns = np.arange(X.shape[1]) if keep is None else keep(rows, patients)
    coefficients = fit_one(
        X[np.ix_(rows, columns)],
        y[rows],
        weights=weights[rows],
        l1_ratio=l1_ratio,
        penalty=float(lasso.path.lambdas[lasso.path.at(lasso.rule)]),
        start=lasso.coefficients[columns],
    )
    kept: NDArray[np.intp] = columns[coefficients != 0]
    return kept


def _patients_by_label(
    y: NDArray[Any], patients: NDArray[np.int64]
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], NDArray[np.intp]]:
    """Positions of the negative and the positive patients, in the order of their index, and each row's position."""
    _, first, rows = np.unique(patients, return_index=True, return_inverse=True)
    positive = y[first] == 1
    return (np.flatnonzero(~positive), np.flatnonzero(positive)), rows


def _deviance(y: NDArray[Any], logits: Array) -> Array:
    """(N, L) twice the negative log-likelihood of each row."""
    deviance: Array = 2 * np.logaddexp(0, np.where(y[:, None] == 1, -logits, logits))
    return deviance.clip(-2 * np.log1p(-_SMALLEST_PROBABILITY), -2 * np.log(_SMALLEST_PROBABILITY))
