"""Run folders of models that were never trained, written with the project's own writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.records import Case, Cohort, Fold, Predictions
from fusion.runs.folder import INNER, LAST_OF_FOLD, RunFolder
from fusion.runs.tables import write_predictions
from fusion.storage import write_json

LABELS = ("benign", "malignant")
CONFIG = {
    "name": "study",
    "primary": None,
    "seed": 3,
    "l1": 0.001,
    "cohort": {"name": "salivary", "simulation": None},
    "split": {"name": "kfold", "n_inner_folds": 5},
    "model": {"name": "fusion"},
    "backbone": {"name": "resnet18", "weights": "none"},
    "evaluation": {"level": 0.95, "n_bootstrap": 200, "threshold": "youden"},
}


class Study:
    """Patients with an outcome, divided into folds, and models of a given strength."""

    def __init__(
        self, directory: Path, *, n_patients: int = 60, n_folds: int = 3, labels: Sequence[str] = LABELS, n_repeats=1
    ):
        self.directory, self.label_names = directory, tuple(labels)
        rng = np.random.default_rng(11)
        self.truth = np.arange(n_patients) % len(labels)
        self.centers = [("north", "south")[i] for i in rng.integers(2, size=n_patients)]
        self.ids = [f"{patient:03d}" for patient in range(n_patients)]
        self.folds = [
            self._fold(repeat * n_folds + number, rng_order, n_folds)
            for repeat in range(n_repeats)
            for rng_order in [np.random.default_rng(repeat).permutation(n_patients)]
            for number in range(n_folds)
        ]
        # What every model sees of a patient: models are alike, as real ones are.
        self.seen = rng.normal(size=(n_patients, len(labels)))

    def _fold(self, number: int, order: Any, n_folds: int) -> Fold:
        place = number % n_folds
        test = {self.ids[i] for i in order[place::n_folds]} if n_folds > 1 else {self.ids[i] for i in order[::3]}
        others = [patient for patient in self.ids if patient not in test]
        return Fold(
            number=number,
            seed=3,
            train=frozenset(others[::2] + others[1::4]),
            validation=frozenset(others[3::4]),
            test=frozenset(test),
        )

    def cohort(self) -> Cohort:
        cases = tuple(
            Case(case_id=i, patient_id=i, center=c, image=None, mask=None, label=self.label_names[t], clinical={})
            for i, c, t in zip(self.ids, self.centers, self.truth, strict=True)
        )
        return Cohort(name="salivary", cases=cases, label_names=self.label_names, clinical_columns=())

    def predictions(self, strength: float, *, seed: int = 0, finished: Sequence[int] | None = None) -> Predictions:
        """Every patient in every finished fold, as a run writes them."""
        rng = np.random.default_rng(seed)
        rows = [
            (patient, fold, fold.part_of(self.ids[patient]))
            for fold in self.folds
            if finished is None or fold.number in finished
            for patient in range(len(self.ids))
        ]
        who = [patient for patient, _, _ in rows]
        noise = 0.8 * self.seen[who] + 0.6 * rng.normal(size=(len(rows), len(self.label_names)))
        logits = noise + strength * np.eye(len(self.label_names))[self.truth[who]]
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return Predictions(
            model="written",
            label_names=self.label_names,
            patient_ids=tuple(self.ids[i] for i in who),
            centers=tuple(self.centers[i] for i in who),
            parts=tuple(str(part) for _, _, part in rows),
            folds=tuple(fold.number for _, fold, _ in rows),
            labels=tuple(self.label_names[self.truth[i]] for i in who),
            probabilities=probabilities,
        )

    def write(
        self,
        folder: str,
        predictions: Predictions,
        *,
        changes: Mapping[str, Any] | None = None,
        thresholds: Mapping[str, float | Sequence[float]] | None = None,
        has_inner: bool = True,
    ) -> Path:
        """A run folder; ``changes`` are of the configuration, a threshold is of all folds or a sequence by fold."""
        path = self.directory / folder
        run = RunFolder.begin(path, CONFIG | dict(changes or {}))
        run.write_split(self.cohort(), self.folds)
        for number in sorted(set(predictions.folds)):
            fold = run.fold(number)
            frozen = {
                name: value if isinstance(value, float) else value[number]
                for name, value in (thresholds or {"youden": 0.5}).items()
            }
            write_json(fold / "fold.json", {"thresholds": frozen if len(self.label_names) == 2 else {}})
            in_fold = predictions.select(other == number for other in predictions.folds)
            write_predictions(fold / LAST_OF_FOLD, in_fold)
        write_predictions(path / "predictions.csv", predictions)
        if has_inner:
            inner = predictions.select(part == "validation" for part in predictions.parts)
            write_predictions(path / INNER, replace(inner, case_ids=inner.patient_ids))
        return path


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    """Makes a study in a folder of its own."""

    def make(**settings: Any) -> Study:
        return Study(tmp_path / "runs", **settings)

    return make
