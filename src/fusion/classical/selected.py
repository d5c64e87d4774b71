"""Filters and LASSO on the columns of a block, or of joined ones: what is kept, and its linear predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.classical.filters import apply_filters
from fusion.classical.kept import kept
from fusion.classical.lasso import Lasso, LassoPath, fit_lasso, selection_frequency
from fusion.classical.rows import Outcomes
from fusion.storage import array_digest, content_key

LASSO_SETTINGS = ("l1_ratio", "lambda", "n_lambdas", "min_lambda_ratio", "n_folds")
# Count up when a change of the filters or of the LASSO changes what they keep.
_RECIPE = 1


@dataclass(frozen=True, kw_only=True)
class Selected:
    """A LASSO on filtered columns.

    Attributes:
        filtered: Columns that passed the filters, ascending.
        lasso: Fitted on those.
    """

    filtered: NDArray[np.intp]
    lasso: Lasso

    @property
    def columns(self) -> NDArray[np.intp]:
        """Columns that the LASSO kept, ascending."""
        return self.filtered[self.lasso.selected]

    def linear_predictor(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) of (N, F) rows; higher is more likely positive."""
        return self.lasso.linear_predictor(X[:, self.filtered])

    def state(self) -> dict[str, Any]:
        """Plain content, without the path."""
        return {"filtered": self.filtered.tolist(), "lasso": self.lasso.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What gave ``state``."""
        return cls(filtered=np.array(state["filtered"], dtype=np.intp), lasso=Lasso.from_state(state["lasso"]))


def filter_columns(
    X: NDArray[np.float64], outcomes: Outcomes, *, filters: Sequence[Mapping[str, Any]], seed: int, cache_dir: Path
) -> NDArray[np.intp]:
    """Columns that pass the filters; found once for the same rows, outcomes and settings."""

    def compute() -> dict[str, Any]:
        found = apply_filters(X, outcomes.y, filters=filters, patients=outcomes.patients, seed=seed)
        return {"filtered": found.tolist()}

    if not filters:
        return np.arange(X.shape[1])
    key = _key("filters", X, outcomes, {"filters": [dict(each) for each in filters], "seed": seed})
    return np.array(kept(cache_dir / "selection", key, compute=compute)["filtered"], dtype=np.intp)


def select(
    X: NDArray[np.float64],
    outcomes: Outcomes,
    *,
    filters: Sequence[Mapping[str, Any]],
    selection: Mapping[str, Any],
    seed: int,
    cache_dir: Path,
) -> Selected:
    """Filters, then a LASSO path with cross-validation over patients.

    Fitted once for the same rows, outcomes and settings, whichever model or process asks: the key is made of the very
    numbers that it is fitted on.

    Args:
        X: (N, F) training rows.
        outcomes: Of the rows.
        filters: Of the columns, in order; may be empty.
        selection: ``conf/selection``.
        seed: Of the division of patients.
        cache_dir: Of the run.
    """
    settings = {name: selection[name] for name in LASSO_SETTINGS}

    def compute() -> dict[str, Any]:
        filtered = apply_filters(X, outcomes.y, filters=filters, patients=outcomes.patients, seed=seed)
        rule = {"rule" if name == "lambda" else name: value for name, value in settings.items()}
        lasso = fit_lasso(
            X[:, filtered], outcomes.y, weights=outcomes.weights, patients=outcomes.patients, seed=seed, **rule
        )
        assert lasso.path is not None
        return {"filtered": filtered.tolist(), "lasso": lasso.state(), "path": _plain(lasso.path)}

    key = _key("lasso", X, outcomes, {"filters": [dict(each) for each in filters], **settings, "seed": seed})
    found = kept(cache_dir / "selection", key, compute=compute)
    selected = Selected.from_state(found)
    return replace(selected, lasso=replace(selected.lasso, path=_path(found["path"], len(selected.filtered))))


def _plain(path: LassoPath) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else value.tolist() for name, value in asdict(path).items()}


def _path(plain: Mapping[str, Any], n_columns: int) -> LassoPath:
    names = ("lambdas", "intercepts", "deviances", "errors")
    vectors = {name: np.array(plain[name], dtype=np.float64) for name in names}
    return LassoPath(
        coefficients=np.array(plain["coefficients"], dtype=np.float64).reshape(len(plain["lambdas"]), n_columns),
        n_nonzero=np.array(plain["n_nonzero"], dtype=np.int64),
        at_min=plain["at_min"],
        at_1se=plain["at_1se"],
        **vectors,
    )


def frequency(
    X: NDArray[np.float64],
    outcomes: Outcomes,
    selected: Selected,
    *,
    selection: Mapping[str, Any],
    seed: int,
    cache_dir: Path,
) -> NDArray[np.float64]:
    """(F_filtered,) share of patient resamples in which each filtered column is picked; NaN where none are asked for.

    The filters are not run again: it is the LASSO whose choice is looked at.
    """
    if selection["n_bootstrap"] == 0:
        return np.full(len(selected.filtered), np.nan)

    def compute() -> dict[str, Any]:
        shares = selection_frequency(
            X[:, selected.filtered],
            outcomes.y,
            weights=outcomes.weights,
            patients=outcomes.patients,
            lasso=selected.lasso,
            l1_ratio=selection["l1_ratio"],
            n_bootstrap=selection["n_bootstrap"],
            seed=seed,
        )
        return {"shares": shares.tolist()}

    settings = {"l1_ratio": selection["l1_ratio"], "n_bootstrap": selection["n_bootstrap"], "seed": seed}
    key = _key("frequency", X, outcomes, {**settings, "selected": selected.state()})
    return np.array(kept(cache_dir / "selection", key, compute=compute)["shares"], dtype=np.float64)


def _key(what: str, X: NDArray[np.float64], outcomes: Outcomes, settings: Mapping[str, Any]) -> str:
    arrays = (X, outcomes.y, outcomes.patients, outcomes.weights)
    return content_key(
        {"what": what, "recipe": _RECIPE, "arrays": [array_digest(array) for array in arrays], "settings": settings}
    )
