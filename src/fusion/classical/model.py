"""A fitted classical model: blocks, scores, selection and a final stage. One file holds it all, as of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fusion.calibration.calibrator import Calibrator
from fusion.calibration.fit import calibrator_from_state
from fusion.calibration.identity import Identity
from fusion.calibration.platt import Platt
from fusion.classical.blocks import ClinicalBlock
from fusion.classical.classifier import Classifier
from fusion.classical.columns import Columns, Score, columns_from_state
from fusion.classical.late import WeightedMean
from fusion.classical.nomogram import Axis, clinical_axes, nomogram_rows, number_axis
from fusion.classical.rows import Sources
from fusion.errors import FusionError
from fusion.imaging.store import Crops
from fusion.records import Case, FeatureTable, Fold, Predictions
from fusion.runs.model import BRANCH_OF
from fusion.tabular.clinical import ColumnEncoder
from fusion.training.checkpoint import write_checkpoint
from fusion.training.fitted import Scores, case_predictions

KIND = "classical"


@dataclass(frozen=True, kw_only=True)
class CalibratedOutput:
    """The final stage and the calibration after it: what an explanation has to explain.

    Attributes:
        final: The final stage.
        calibrator: Of its probabilities.
    """

    final: Classifier | WeightedMean
    calibrator: Calibrator

    @property
    def linear(self) -> tuple[NDArray[np.float64], float] | None:
        """Coefficients (F,) and intercept of the logit; None where it is not linear in the inputs."""
        if self.final.linear is None or not isinstance(self.calibrator, Identity | Platt):
            return None
        coefficients, intercept = self.final.linear
        if isinstance(self.calibrator, Identity):
            return coefficients, intercept
        (slope,), (shift,) = self.calibrator.slopes, self.calibrator.intercepts
        return slope * coefficients, slope * intercept + shift

    def probabilities(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, F) inputs → (N,) calibrated probabilities of the positive label."""
        return self.calibrator.apply(_pair(self.final.probabilities(X)))[:, 1]


@dataclass(frozen=True, kw_only=True)
class ClassicalModel:
    """A two-stage model and its preprocessing, as one fold fitted them.

    Attributes:
        settings: The groups of the configuration that it was fitted with and that scoring or a reader needs.
        entries: By block, what enters the final stage.
        fills: (F,) of the joined columns: their training means, put where a case lacks a block.
        chosen: Columns of the joined ones that the final stage sees, ascending.
        coefficients: (F,) standardized coefficients of the final LASSO, 0 where it was dropped; None without one.
        final: The classifier, or the weighted mean.
        background: (B, F_chosen) some training rows of the final stage, against which it is explained.
        ranges: (F_chosen, 2) smallest and largest value of the training rows.
        numbers: Smallest and largest training value and unit of each clinical number, by column.
        label_names: The positive one last.
        calibrator, thresholds, threshold: As of ``FittedModel``.
        fold: Number of the fold.
    """

    settings: Mapping[str, Any]
    entries: Mapping[str, Columns]
    fills: NDArray[np.float64]
    chosen: NDArray[np.intp]
    coefficients: NDArray[np.float64] | None
    final: Classifier | WeightedMean
    background: NDArray[np.float64]
    ranges: NDArray[np.float64]
    numbers: Mapping[str, tuple[float, float, str | None]]
    label_names: tuple[str, ...]
    calibrator: Calibrator
    thresholds: Mapping[str, float]
    threshold: float | None
    fold: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of the joined columns."""
        return tuple(name for entry in self.entries.values() for name in entry.names)

    @property
    def final_names(self) -> tuple[str, ...]:
        """Of the columns that the final stage sees."""
        return tuple(self.names[column] for column in self.chosen)

    @property
    def heard(self) -> tuple[str, ...]:
        """Blocks with a probability of their own: the scores."""
        return tuple(name for name, entry in self.entries.items() if isinstance(entry, Score))

    @property
    def clinical_columns(self) -> tuple[ColumnEncoder, ...]:
        """Encodings of the clinical columns that it was fitted with."""
        blocks = [entry.block for entry in self.entries.values()]
        return tuple(column for block in blocks if isinstance(block, ClinicalBlock) for column in block.encoder.columns)

    def with_calibrator(self, calibrator: Calibrator) -> Self:
        """The same model with its calibration frozen."""
        return replace(self, calibrator=calibrator)

    def with_thresholds(self, thresholds: Mapping[str, float], *, primary: str) -> Self:
        """The same model with its thresholds frozen."""
        return replace(self, thresholds=thresholds, threshold=thresholds.get(primary))

    def score_cases(self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable, accelerator: str) -> Scores:
        """Score cases; a score's own probability is that of its linear predictor.

        Raises:
            FusionError: If a case has nothing of any block.
        """
        joined = self.join(cases, Sources(crops=crops, features=features, accelerator=accelerator))
        require_a_block(cases, joined, tuple(self.entries))
        p = self.final.probabilities(self.final_rows(joined))
        opinions = np.full((len(cases), len(self.heard), 2), np.nan)
        for place, name in enumerate(self.heard):
            own = expit(joined[:, self.names.index(f"{name} score")])
            opinions[:, place] = _pair(own)
        return Scores(probabilities=self.calibrator.apply(np.stack([1 - p, p], axis=1)), opinions=opinions, gates=None)

    def join(self, cases: Sequence[Case], sources: Sources) -> NDArray[np.float64]:
        """(N, F) joined columns, NaN where a case lacks a block."""
        return np.concatenate([entry.transform(cases, sources) for entry in self.entries.values()], axis=1)

    def final_rows(self, joined: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, F_chosen) what the final stage sees; a missing block is the training mean, but for a weighted mean."""
        if isinstance(self.final, WeightedMean):
            return joined[:, self.chosen]
        return np.where(np.isnan(joined), self.fills, joined)[:, self.chosen]

    @property
    def output(self) -> CalibratedOutput:
        """From what the final stage sees to the probability that is reported."""
        return CalibratedOutput(final=self.final, calibrator=self.calibrator)

    def presence(self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable) -> dict[str, NDArray[np.bool_]]:
        """(N,) by branch that the model learned from, whether each case has it."""
        columns, extracted = [column.name for column in self.clinical_columns], {*features.case_ids}
        found = {
            "image": [case.case_id in crops for case in cases],
            "radiomics": [case.case_id in extracted for case in cases],
            "clinical": [any(case.clinical.get(name) is not None for name in columns) for case in cases],
        }
        asked = dict.fromkeys(BRANCH_OF[block] for block in self.entries)
        return {branch: np.array(found[branch], dtype=np.bool_) for branch in asked}

    def image_rows(
        self, cases: Sequence[Case], *, crops: Crops, features: FeatureTable, accelerator: str
    ) -> dict[str, NDArray[np.float64]]:
        """The standardized deep and radiomics features, before any is selected."""
        sources = Sources(crops=crops, features=features, accelerator=accelerator)
        seen = {name: entry for name, entry in self.entries.items() if name in ("deep", "radiomics")}
        return {BRANCH_OF[name]: entry.block.transform(cases, sources) for name, entry in seen.items()}

    def predictions(self, cases: Sequence[Case], scores: Scores, *, fold: Fold | None) -> Predictions:
        """Scores as case-level ``Predictions``; with no fold given, every case is in the test part."""
        return case_predictions(
            cases,
            scores,
            model=self.settings["model"]["name"],
            label_names=self.label_names,
            number=self.fold,
            fold=fold,
        )

    def feature_weights(self) -> list[tuple[str, float]]:
        """The radiomics features that carry weight, the largest first, with their standardized coefficient.

        Of a radiomics score those of its LASSO; of joined features those of the final LASSO, or of a linear classifier
        where there is none. Nothing else gives a feature a weight.
        """
        entry = self.entries.get("radiomics")
        if isinstance(entry, Score):
            named = list(zip(entry.block.names, entry.selected.lasso.coefficients.tolist(), strict=True))
        else:
            own = set(entry.names) if entry is not None else set()
            named = [(name, value) for name, value in self._final_weights() if name in own]
        return sorted(((name, value) for name, value in named if value != 0), key=lambda pair: -abs(pair[1]))

    def _final_weights(self) -> list[tuple[str, float]]:
        if self.coefficients is not None:
            return list(zip(self.names, self.coefficients.tolist(), strict=True))
        if self.final.linear is None:
            return []
        return list(zip(self.final_names, self.final.linear[0].tolist(), strict=True))

    def facts(self) -> dict[str, Any]:
        """Plain facts of the fit."""
        clinical = [name for name in ("clinical", "ultrasound") if name in self.entries]
        return {
            "candidates": {name: entry.block.n_candidates for name, entry in self.entries.items()},
            "radiomics_features": len(self.feature_weights()),
            "radiomics_candidates": self.entries["radiomics"].block.n_candidates if "radiomics" in self.entries else 0,
            "clinical_inputs": sum(self.entries[name].block.n_candidates for name in clinical),
            "inputs": list(self.final_names),
            "classifier": dict(self.final.chosen),
            "weights": dict(zip(self.final_names, self.final.weights.tolist(), strict=True))
            if isinstance(self.final, WeightedMean)
            else None,
        }

    def tables(self) -> dict[str, tuple[Sequence[str], list[Sequence[object]]]]:
        """Header and rows by file name, of what can be read off the fitted model."""
        if self.final.linear is None or not self.final_names:
            return {}
        rows = nomogram_rows(self._axes(), intercept=self.final.linear[1], to_probability=self._probability_at)
        return {"nomogram.csv": (("fold", "variable", "label", "value"), [(self.fold, *row) for row in rows])}

    def _probability_at(self, logit: float) -> float:
        return float(self.calibrator.apply(_pair(expit(np.array([logit]))))[0, 1])

    def _axes(self) -> list[Axis]:
        assert self.final.linear is not None
        coefficients = dict(zip(self.final_names, self.final.linear[0].tolist(), strict=True))
        clinical = clinical_axes(
            self.clinical_columns,
            coefficients,
            ranges={name: (low, high) for name, (low, high, _) in self.numbers.items()},
            units={name: unit for name, (_, _, unit) in self.numbers.items()},
            clip=self._clip,
        )
        covered = {name for column in self.clinical_columns for name in column.inputs}
        # Scores are in logits, features in training standard deviations; either enters the model as it is.
        others = [
            number_axis(
                name,
                coefficient=coefficients[name],
                center=0.0,
                scale=1.0,
                clip=math.inf,
                training_range=(low, high),
                unit=None,
            )
            for name, (low, high) in zip(self.final_names, self.ranges.tolist(), strict=True)
            if name not in covered and coefficients[name] != 0
        ]
        return clinical + others

    @property
    def _clip(self) -> float:
        blocks = [entry.block for entry in self.entries.values()]
        return next((block.encoder.clip for block in blocks if isinstance(block, ClinicalBlock)), math.inf)

    def save(self, path: Path, *, split_sha256: str) -> None:
        """Write plain containers and tensors, loadable with ``weights_only=True``."""
        content = {
            "settings": dict(self.settings),
            "entries": {name: entry.state() for name, entry in self.entries.items()},
            "fills": self.fills.tolist(),
            "chosen": self.chosen.tolist(),
            "coefficients": None if self.coefficients is None else self.coefficients.tolist(),
            "combine": "mean" if isinstance(self.final, WeightedMean) else "classifier",
            "final": self.final.state(),
            "background": self.background.tolist(),
            "ranges": self.ranges.tolist(),
            "numbers": {name: list(entry) for name, entry in self.numbers.items()},
            "label_names": list(self.label_names),
            "calibrator": self.calibrator.state(),
            "thresholds": dict(self.thresholds),
            "threshold": self.threshold,
            "fold": self.fold,
        }
        write_checkpoint(path, content, kind=KIND, split_sha256=split_sha256)

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """The model whose ``save`` wrote ``content``."""
        final: type[Classifier | WeightedMean] = WeightedMean if content["combine"] == "mean" else Classifier
        width = len(content["chosen"])
        return cls(
            settings=content["settings"],
            entries={name: columns_from_state(name, state) for name, state in content["entries"].items()},
            fills=np.array(content["fills"], dtype=np.float64),
            chosen=np.array(content["chosen"], dtype=np.intp),
            coefficients=None if content["coefficients"] is None else np.array(content["coefficients"]),
            final=final.from_state(content["final"]),
            background=np.array(content["background"], dtype=np.float64).reshape(len(content["background"]), width),
            ranges=np.array(content["ranges"], dtype=np.float64).reshape(width, 2),
            numbers={name: (low, high, unit) for name, (low, high, unit) in content["numbers"].items()},
            label_names=tuple(content["label_names"]),
            calibrator=calibrator_from_state(content["calibrator"]),
            thresholds=content["thresholds"],
            threshold=content["threshold"],
            fold=content["fold"],
        )


def require_a_block(cases: Sequence[Case], joined: NDArray[np.float64], blocks: Sequence[str]) -> None:
    """Refuse cases that have nothing of any block.

    Args:
        cases: N of them.
        joined: (N, F) their columns, NaN where a block is missing.
        blocks: Names of the model's blocks.

    Raises:
        FusionError: Naming them.
    """
    bare = [cases[row].case_id for row in np.flatnonzero(np.isnan(joined).all(axis=1)).tolist()]
    if bare:
        raise FusionError(
            f"required something of {', '.join(blocks)} for every case, came nothing for {len(bare)} case(s): "
            f"{', '.join(bare[:5])}; give them an image with a mask or a clinical row, or leave them out"
        )


def _pair(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([1 - p, p], axis=1)
