"""Filters and LASSO on some columns: what is kept, and its linear predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.classical.filters import apply_filters
from fusion.classical.kept import kept
from fusion.classical.lasso import Lasso, LassoPath, fit_lasso, selected_again, selection_frequency
from fusion.classical.rows import Outcomes
from fusion.storage import array_digest, content_key

LASSO_SETTINGS = ("l1_ratio", "lambda", "n_lambdas", "min_lambda_ratio", "n_folds")
# Count up when a change of the filters or of the LASSO changes what they keep.
_RECIPE = 3


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Filters and a LASSO that are to be fitted on rows.

    Attributes:
        blocks: Columns of each block that is filtered; the columns of other blocks all pass.
        settings: ``conf/selection``.
        seed: Of every division of patients.
        cache_dir: Of the run. What was fitted on the same numbers with the same settings is not fitted again, whichever
            model or process asks: the keys are made of the very numbers.
    """

    blocks: tuple[NDArray[np.intp], ...]
    settings: Mapping[str, Any]
    seed: int
    cache_dir: Path

    def filter(self, X: NDArray[np.float64], outcomes: Outcomes) -> NDArray[np.intp]:
        """Columns (ascending) that pass the filters on these (N, F) rows."""

        def compute() -> dict[str, Any]:
            return {"kept": self._passed(X, outcomes.y, outcomes.patients).tolist()}

        if not self._filters_anything:
            return np.arange(X.shape[1])
        found = kept(self.cache_dir / "selection", self._key("filter", X, outcomes), compute=compute)
        return np.array(found["kept"], dtype=np.intp)

    def select(self, X: NDArray[np.float64], outcomes: Outcomes) -> Selected:
        """Filters, then a LASSO path with cross-validation over patients, in which the filters are run anew.

        Args:
            X: (N, F) training rows.
            outcomes: Of the rows.
        """
        settings = {"rule" if name == "lambda" else name: self.settings[name] for name in LASSO_SETTINGS}

        def compute() -> dict[str, Any]:
            lasso = fit_lasso(
                X,
                outcomes.y,
                weights=outcomes.weights,
                patients=outcomes.patients,
                seed=self.seed,
                keep=self._keep(X, outcomes),
                **settings,
            )
            assert lasso.path is not None
            return {"lasso": lasso.state(), "path": _plain(lasso.path)}

        found = kept(self.cache_dir / "selection", self._key("lasso", X, outcomes, **settings), compute=compute)
        lasso = Lasso.from_state(found["lasso"])
        return Selected(lasso=lasso.with_path(_path(found["path"])))

    def again(
        self, X: NDArray[np.float64], outcomes: Outcomes, rows: NDArray[np.intp], selected: Selected
    ) -> NDArray[np.intp]:
        """Columns (ascending) that filters and LASSO keep on some of the rows, at the penalty chosen on all."""
        return selected_again(
            X,
            outcomes.y,
            rows,
            outcomes.patients[rows],
            weights=outcomes.weights,
            lasso=selected.lasso,
            l1_ratio=self.settings["l1_ratio"],
            keep=self._keep(X, outcomes),
        )

    def frequency(self, X: NDArray[np.float64], outcomes: Outcomes, selected: Selected) -> NDArray[np.float64]:
        """(F,) share of patient resamples in which filters and LASSO keep each column; NaN where none are asked for."""
        n_bootstrap, l1_ratio = self.settings["n_bootstrap"], self.settings["l1_ratio"]
        if n_bootstrap == 0:
            return np.full(X.shape[1], np.nan)

        def compute() -> dict[str, Any]:
            shares = selection_frequency(
                X,
                outcomes.y,
                weights=outcomes.weights,
                patients=outcomes.patients,
                lasso=selected.lasso,
                l1_ratio=l1_ratio,
                n_bootstrap=n_bootstrap,
                seed=self.seed,
                keep=self._keep(X, outcomes),
            )
            return {"shares": shares.tolist()}

        settings = {"l1_ratio": l1_ratio, "n_bootstrap": n_bootstrap, "lasso": selected.lasso.state()}
        found = kept(self.cache_dir / "selection", self._key("frequency", X, outcomes, **settings), compute=compute)
        return np.array(found["shares"], dtype=np.float64)

    @property
    def _filters_anything(self) -> bool:
        return bool(self.settings["filters"]) and any(len(block) for block in self.blocks)

    def _keep(self, X: NDArray[np.float64], outcomes: Outcomes) -> Any:
        def keep(rows: NDArray[np.intp], patients: NDArray[np.int64]) -> NDArray[np.intp]:
            return self._passed(X[rows], outcomes.y[rows], patients)

        return keep if self._filters_anything else None

    def _passed(self, X: NDArray[np.float64], y: NDArray[np.float64], patients: NDArray[np.int64]) -> NDArray[np.intp]:
        passes = np.ones(X.shape[1], dtype=np.bool_)
        for block in self.blocks:
            found = apply_filters(X[:, block], y, filters=self.settings["filters"], patients=patients, seed=self.seed)
            passes[block] = False
            passes[block[found]] = True
        return np.flatnonzero(passes)

    def _key(self, what: str, X: NDArray[np.float64], outcomes: Outcomes, **settings: Any) -> str:
        arrays = (X, outcomes.y, outcomes.patients, outcomes.weights)
        return content_key(
            {
                "what": what,
                "recipe": _RECIPE,
                "arrays": [array_digest(array) for array in arrays],
                "filters": [dict(each) for each in self.settings["filters"]],
                "blocks": [block.tolist() for block in self.blocks],
                "seed": self.seed,
                "settings": settings,
            }
        )


@dataclass(frozen=True, kw_only=True)
class Selected:
    """What filters and LASSO keep.

    Attributes:
        lasso: Of all columns; those that are not kept have the coefficient 0.
    """

    lasso: Lasso

    @property
    def columns(self) -> NDArray[np.intp]:
        """Columns that are kept, ascending."""
        return self.lasso.selected

    def linear_predictor(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) of (N, F) rows; higher is more likely positive."""
        return self.lasso.linear_predictor(X)

    def state(self) -> dict[str, Any]:
        """Plain content, without the path."""
        return self.lasso.state()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """What gave ``state``."""
        return cls(lasso=Lasso.from_state(state))


def blocks_of(widths: Sequence[tuple[int, bool]]) -> tuple[NDArray[np.intp], ...]:
    """Columns of each block that is filtered, of blocks that lie side by side.

    Args:
        widths: Of each block, its number of columns and whether it is filtered.
    """
    ends = np.cumsum([width for width, _ in widths])
    return tuple(
        np.arange(end - width, end) for (width, is_filtered), end in zip(widths, ends, strict=True) if is_filtered
    )


def _plain(path: LassoPath) -> dict[str, Any]:
    import torch

    # Tensors: reading tens of thousands of numbers one by one would take longer than to fit them.
    return {name: value if isinstance(value, int) else torch.from_numpy(value) for name, value in asdict(path).items()}


def _path(plain: Mapping[str, Any]) -> LassoPath:
    values: dict[str, Any] = {name: value if isinstance(value, int) else value.numpy() for name, value in plain.items()}
    return LassoPath(**values)
