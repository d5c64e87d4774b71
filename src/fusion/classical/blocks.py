"""The blocks of a classical model: one kind of information each, as columns; fitted on training patients only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fusion.classical.deep import Embedder, fit_embedder
from fusion.classical.rows import Sources
from fusion.records import Case, Cohort
from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.radiomics import RadiomicsScaler


class Block(Protocol):
    """A fitted block.

    Attributes:
        names: (F,) of its columns.
        n_candidates: How many features it has looked at.
    """

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def n_candidates(self) -> int: ...

    def transform(self, cases: Sequence[Case], sources: Sources) -> NDArray[np.float64]:
        """(N, F) standardized columns; a row of NaN where the case has nothing of the block."""

    def state(self) -> dict[str, Any]:
        """Plain containers and tensors for a checkpoint."""


@dataclass(frozen=True)
class ClinicalBlock:
    """Clinical columns, encoded and standardized as for the network.

    Attributes:
        encoder: Of all columns, or of the ultrasound findings alone.
    """

    encoder: ClinicalEncoder

    @property
    def names(self) -> tuple[str, ...]:
        return self.encoder.inputs

    @property
    def n_candidates(self) -> int:
        return len(self.encoder.inputs)

    def transform(self, cases: Sequence[Case], sources: Sources) -> NDArray[np.float64]:  # noqa: ARG002 -- one signature for all blocks
        values, known = self.encoder.transform(cases)
        return np.where(known[:, None], values.astype(np.float64), np.nan)

    def state(self) -> dict[str, Any]:
        return self.encoder.state()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(ClinicalEncoder.from_state(state))


@dataclass(frozen=True)
class RadiomicsBlock:
    """Radiomics features: stable and varying ones, harmonized, standardized.

    Attributes:
        scaler: As for the network.
    """

    scaler: RadiomicsScaler

    @property
    def n_candidates(self) -> int:
        return self.scaler.n_candidates

    @property
    def names(self) -> tuple[str, ...]:
        return self.scaler.names

    def transform(self, cases: Sequence[Case], sources: Sources) -> NDArray[np.float64]:
        extracted = {*sources.features.case_ids}
        known = np.array([case.case_id in extracted for case in cases], dtype=bool)
        values = np.full((len(cases), len(self.names)), np.nan)
        present = [case for case, has in zip(cases, known.tolist(), strict=True) if has]
        if present and self.names:
            values[known] = self.scaler.transform(sources.features, present)
        return values

    def state(self) -> dict[str, Any]:
        return self.scaler.state()

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        return cls(RadiomicsScaler.from_state(state))


@dataclass(frozen=True)
class DeepBlock:
    """Embeddings of a fine-tuned backbone, standardized; or their principal components, standardized.

    Attributes:
        embedder: The backbone.
        means, scales: (D,) of the training embeddings; a scale of 1 where they do not vary.
        components: (n, D) principal axes of the standardized training embeddings, or None.
        spreads: (n,) standard deviation of the training rows along each axis.
    """

    embedder: Embedder
    means: NDArray[np.float64]
    scales: NDArray[np.float64]
    components: NDArray[np.float64] | None
    spreads: NDArray[np.float64] | None

    @property
    def names(self) -> tuple[str, ...]:
        kind = "deep" if self.components is None else "deep_pc"
        n_columns = len(self.means) if self.components is None else len(self.components)
        return tuple(f"{kind}_{number}" for number in range(1, n_columns + 1))

    @property
    def n_candidates(self) -> int:
        return len(self.means)

    @classmethod
    def fit(cls, embedder: Embedder, embeddings: NDArray[np.float64], n_components: int | None) -> Self:
        """Fit the scaling, and the principal axes where there are to be some.

        Args:
            embedder: Fine-tuned on the training patients.
            embeddings: (N, D) of the training cases that have an image.
            n_components: Axes that are kept, at most min(N - 1, D); None keeps the embedding.
        """
        means, scales = embeddings.mean(axis=0), embeddings.std(axis=0)
        scales = np.where(scales > 1e-10 * np.maximum(np.abs(embeddings).max(axis=0, initial=0.0), 1e-300), scales, 1.0)
        if n_components is None:
            return cls(embedder, means, scales, None, None)
        rows = (embeddings - means) / scales
        _, lengths, axes = np.linalg.svd(rows, full_matrices=False)
        # Where any column varies the longest is above 1; else all are rounding.
        n_kept = min(n_components, len(rows) - 1, int((lengths > 1e-9 * max(lengths[0], 1.0)).sum()))
        # An axis and its opposite are the same: the largest entry is made positive, and a refit gives the same sign.
        axes = axes[:n_kept]
        signs = np.sign(axes[np.arange(n_kept), np.abs(axes).argmax(axis=1)])
        return cls(embedder, means, scales, axes * signs[:, None], lengths[:n_kept] / np.sqrt(len(rows)))

    def transform(self, cases: Sequence[Case], sources: Sources) -> NDArray[np.float64]:
        embeddings = self.embedder.embed(cases, crops=sources.crops, accelerator=sources.accelerator)
        rows = (embeddings - self.means) / self.scales
        if self.components is None or self.spreads is None:
            return rows
        projected: NDArray[np.float64] = rows @ self.components.T / self.spreads
        return projected

    def state(self) -> dict[str, Any]:
        vectors = {
            name: None if value is None else value.tolist()
            for name in ("means", "scales", "components", "spreads")
            for value in (getattr(self, name),)
        }
        return {"embedder": self.embedder.state(), **vectors}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        vectors = (
            None if state[name] is None else np.array(state[name], dtype=np.float64)
            for name in ("means", "scales", "components", "spreads")
        )
        return cls(Embedder.from_state(state["embedder"]), *vectors)  # type: ignore[arg-type]  # Two of the four may be None.


_KINDS: dict[str, type[ClinicalBlock | RadiomicsBlock | DeepBlock]] = {
    "clinical": ClinicalBlock,
    "ultrasound": ClinicalBlock,
    "radiomics": RadiomicsBlock,
    "deep": DeepBlock,
}


def block_from_state(name: str, state: Mapping[str, Any]) -> Block:
    """The block that gave ``state``."""
    return _KINDS[name].from_state(state)


def fit_block(
    name: str,
    cohort: Cohort,
    cases: Sequence[Case],
    *,
    sources: Sources,
    stable: Collection[str] | None,
    config: Mapping[str, Any],
    fold_number: int,
    keeps_network: bool,
    title: str,
) -> Block:
    """Fit a block on ``cases``: they must be training patients' and nobody else's.

    Args:
        name: clinical, ultrasound, radiomics or deep.
        cohort: That the cases are of.
        cases: All cases of the patients that it learns from.
        sources: Rows of other cases take no part in the fit.
        stable: Radiomics features that may be used, measured on training patients; None is all.
        config: The resolved configuration.
        fold_number: Of the outer fold, for the seed of the fine-tuning.
        keeps_network: Whether the block will have to embed the images of other cohorts.
        title: Of the fine-tuning's progress line.
    """
    if name in ("clinical", "ultrasound"):
        wanted = [column for column in cohort.clinical_columns if name == "clinical" or column.source == "ultrasound"]
        return ClinicalBlock(ClinicalEncoder.fit(wanted, cases, clip=config["tabular"]["clip"]))
    if name == "radiomics":
        scaler = RadiomicsScaler.fit(
            sources.features,
            cases,
            stable=stable,
            columns=cohort.clinical_columns,
            harmonization=config["harmonization"],
            # Redundancy is a filter of the selection, which comes after the test against the outcome.
            max_correlation=1.0,
            clip=config["tabular"]["clip"],
        )
        return RadiomicsBlock(scaler)
    embedder = fit_embedder(
        cohort,
        frozenset(case.patient_id for case in cases),
        fold_number=fold_number,
        crops=sources.crops,
        config=config,
        cache_dir=Path(config["cache_dir"]) / "deep",
        keeps_network=keeps_network,
        title=title,
    )
    embeddings = embedder.embed(cases, crops=sources.crops, accelerator=sources.accelerator)
    known = ~np.isnan(embeddings).any(axis=1)
    return DeepBlock.fit(embedder, embeddings[known], config["deep"]["n_components"])
