"""Radiomics preprocessing, fitted on the training part only: drop, impute, scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError
from fusion.records import FeatureTable


@dataclass(frozen=True, kw_only=True)
class RadiomicsScaler:
    """Fitted preprocessing of a radiomics table.

    Attributes:
        names: (F,) features that are kept, in the table's order.
        centers: (F,) training means.
        scales: (F,) training standard deviations, all above 0.
        fills: (F,) training medians, put where a value is missing.
        clip: Bound of the standardized values, in standard deviations.
    """

    names: tuple[str, ...]
    centers: tuple[float, ...]
    scales: tuple[float, ...]
    fills: tuple[float, ...]
    clip: float

    @classmethod
    def fit(cls, table: FeatureTable, *, max_correlation: float, clip: float) -> Self:
        """Fit on the rows of ``table``: they must be the training part's and nobody else's.

        Args:
            table: Training cases. Without any, no feature is kept.
            max_correlation: Of two features whose absolute Spearman correlation is above it, the later one is dropped.
            clip: Bound of the standardized values, in standard deviations.
        """
        if not table.case_ids:
            return cls(names=(), centers=(), scales=(), fills=(), clip=clip)
        values = np.where(np.isfinite(table.values), table.values, np.nan)
        values[:, np.isnan(values).all(axis=0)] = 0.0  # Never known: constant, and dropped as such.
        fills = np.nanmedian(values, axis=0)
        values = np.where(np.isnan(values), fills, values)
        kept = _varying(values)
        kept = kept[_uncorrelated(values[:, kept], max_correlation)]
        return cls(
            names=tuple(table.names[i] for i in kept),
            centers=tuple(values[:, kept].mean(0).tolist()),
            scales=tuple(values[:, kept].std(0).tolist()),
            fills=tuple(fills[kept].tolist()),
            clip=clip,
        )

    def transform(self, table: FeatureTable) -> NDArray[np.float32]:
        """Standardize: (N, F) in [-clip, clip]; 0 is the training mean.

        Raises:
            FusionError: If the table lacks a feature that the scaler was fitted on.
        """
        position = {name: i for i, name in enumerate(table.names)}
        missing = [name for name in self.names if name not in position]
        if missing:
            raise FusionError(
                f"radiomics: required the {len(self.names)} features of training, came a table without {missing[:3]}"
                f"{' and more' if len(missing) > 3 else ''}; extract with the settings that the model was trained with"
            )
        values = table.values[:, [position[name] for name in self.names]]
        values = np.where(np.isfinite(values), values, np.array(self.fills))
        standardized = (values - np.array(self.centers)) / np.array(self.scales)
        clipped: NDArray[np.float32] = np.clip(standardized, -self.clip, self.clip).astype(np.float32)
        return clipped

    def state(self) -> dict[str, Any]:
        """Plain content for a checkpoint."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The scaler that gave ``state``."""
        vectors = {name: tuple(state[name]) for name in ("names", "centers", "scales", "fills")}
        return cls(**vectors, clip=state["clip"])


def _varying(values: NDArray[np.float64]) -> NDArray[np.intp]:
    spread = values.std(axis=0)
    magnitude = np.abs(values).max(axis=0, initial=0.0)
    return np.flatnonzero(spread > 1e-10 * np.maximum(magnitude, 1e-300))


def _uncorrelated(values: NDArray[np.float64], max_correlation: float) -> NDArray[np.intp]:
    """Greedy from the left: a column stays unless an earlier one that stays is too close to it."""
    from scipy.stats import rankdata

    if values.shape[1] < 2:
        return np.arange(values.shape[1])
    close = np.abs(np.corrcoef(rankdata(values, axis=0), rowvar=False)) > max_correlation
    kept: list[int] = []
    for column in range(values.shape[1]):
        if not close[column, kept].any():
            kept.append(column)
    return np.array(kept)
