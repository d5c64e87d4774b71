"""Radiomics preprocessing, fitted on the training part only: drop, impute, harmonize, scale."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError
from fusion.records import Case, ClinicalColumn, FeatureTable
from fusion.tabular.harmonize import CombatHarmonizer, fill_by_center, varies_within
from fusion.tabular.redundancy import keep_apart


@dataclass(frozen=True, kw_only=True)
class RadiomicsScaler:
    """Fitted preprocessing of a radiomics table.

    Attributes:
        names: (F,) features that are kept, in the table's order.
        n_candidates: How many features were looked at: all of the table's, where there was anything to fit.
        harmonizer: Of the F features; None where centers are left as they are.
        fills: (F,) training medians after harmonization, put where a value is missing.
        means: (F,) training means, after harmonization too.
        scales: (F,) training standard deviations, all above 0.
        clip: Bound of the standardized values, in standard deviations.
    """

    names: tuple[str, ...]
    n_candidates: int
    harmonizer: CombatHarmonizer | None
    fills: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    clip: float

    @classmethod
    def fit(
        cls,
        table: FeatureTable,
        cases: Sequence[Case],
        *,
        stable: Collection[str] | None,
        columns: Sequence[ClinicalColumn],
        harmonization: Mapping[str, Any],
        max_correlation: float,
        clip: float,
    ) -> Self:
        """Fit on ``cases``: they must be the training part's and nobody else's.

        In this order: unstable and constant features are dropped, centers harmonized, missing values filled, features
        that nearly repeat another are dropped, and the rest is standardized. To estimate what a center does, a missing
        value counts as its center's median.

        Args:
            table: Rows of other cases are not read. Without a row of ``cases``, no feature is kept.
            cases: Those without a row have no part in it.
            stable: Names of the features that may be kept; None is all.
            columns: The cohort's clinical columns, for covariates of the harmonization.
            harmonization: An option of ``conf/harmonization``.
            max_correlation: Of two features whose absolute Spearman correlation is above it, the later one is dropped.
            clip: Bound of the standardized values, in standard deviations.

        Raises:
            FusionError: For what the harmonization refuses.
        """
        known, rows = _rows_of(table, cases)
        offered = np.flatnonzero([stable is None or name in stable for name in table.names])
        if not known or not len(offered):
            return cls(names=(), n_candidates=0, fills=(), harmonizer=None, means=(), scales=(), clip=clip)
        values = _finite(table.values[np.ix_(rows, offered)])
        values[:, np.isnan(values).all(axis=0)] = 0.0  # Never known: constant, and dropped as such.
        kept = _varying(_filled(values, np.nanmedian(values, axis=0)))
        harmonizer = None
        if harmonization["name"] != "none":
            complete = fill_by_center(values[:, kept], known)
            varying = varies_within(complete, known, harmonization)
            kept, complete = kept[varying], complete[:, varying]
            harmonizer = CombatHarmonizer.fit(complete, known, columns=columns, harmonization=harmonization, clip=clip)
            values[:, kept] = harmonizer.apply(values[:, kept], known)
        fills = np.nanmedian(values, axis=0)
        values = _filled(values, fills)
        final = _uncorrelated(values[:, kept], max_correlation)
        harmonizer = harmonizer and harmonizer.keep(final)
        kept = kept[final]
        return cls(
            names=tuple(table.names[i] for i in offered[kept]),
            n_candidates=len(table.names),
            fills=tuple(fills[kept].tolist()),
            harmonizer=harmonizer,
            means=tuple(values[:, kept].mean(0).tolist()),
            scales=tuple(values[:, kept].std(0).tolist()),
            clip=clip,
        )

    def transform(self, table: FeatureTable, cases: Sequence[Case]) -> NDArray[np.float32]:
        """Harmonize and standardize.

        Args:
            table: With a row for each of the cases; others are not read.
            cases: N of them; their centers say how they are harmonized.

        Returns:
            (N, F) in [-clip, clip], in the order of ``cases``; 0 is the training mean.

        Raises:
            FusionError: If the table lacks a feature that the scaler was fitted on, or a case is of a center that the
                harmonization refuses.
            ValueError: If a case has no row.
        """
        position = {name: i for i, name in enumerate(table.names)}
        missing = [name for name in self.names if name not in position]
        if missing:
            raise FusionError(
                f"radiomics: required the {len(self.names)} features of training, came a table without {missing[:3]}"
                f"{' and more' if len(missing) > 3 else ''}; extract with the settings that the model was trained with"
            )
        known, rows = _rows_of(table, cases)
        if len(known) < len(cases):
            raise ValueError(f"radiomics: {len(cases) - len(known)} of {len(cases)} cases have no row in the table")
        columns = np.array([position[name] for name in self.names], dtype=np.intp)
        values = _finite(table.values[np.ix_(rows, columns)])
        if self.harmonizer is not None:
            values = self.harmonizer.apply(values, known)
        standardized = (_filled(values, np.array(self.fills)) - np.array(self.means)) / np.array(self.scales)
        clipped: NDArray[np.float32] = np.clip(standardized, -self.clip, self.clip).astype(np.float32)
        return clipped

    def state(self) -> dict[str, Any]:
        """Plain content for a checkpoint."""
        vectors = {name: list(getattr(self, name)) for name in ("names", "fills", "means", "scales")}
        harmonizer = None if self.harmonizer is None else self.harmonizer.state()
        return vectors | {"n_candidates": self.n_candidates, "harmonizer": harmonizer, "clip": self.clip}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The scaler that gave ``state``."""
        vectors = {name: tuple(state[name]) for name in ("names", "fills", "means", "scales")}
        harmonizer = None if state["harmonizer"] is None else CombatHarmonizer.from_state(state["harmonizer"])
        return cls(**vectors, n_candidates=state["n_candidates"], harmonizer=harmonizer, clip=state["clip"])


def _rows_of(table: FeatureTable, cases: Sequence[Case]) -> tuple[list[Case], NDArray[np.intp]]:
    """The cases that have a row, and which it is."""
    position = {case_id: row for row, case_id in enumerate(table.case_ids)}
    known = [case for case in cases if case.case_id in position]
    return known, np.array([position[case.case_id] for case in known], dtype=np.intp)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)


def _filled(values: NDArray[np.float64], fills: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(values), fills, values)


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
    return keep_apart(close, range(values.shape[1]))
