"""The test rows of all models side by side, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.comparison.entries import Entries
from fusion.evaluation.patients import patient_index

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Labeled test rows, one per patient and fold, the same for M models.

    Attributes:
        label_names: The positive one last.
        labels: (N,) 0 to K - 1.
        patients: (N,) counted from 0.
        folds: (N,)
        centers: (N,)
        probabilities: M times (N, K).
        called: M times (N,): whether the row is called positive at the frozen threshold of its own fold and model; None
            with more than two labels, or where a threshold is missing.
    """

    label_names: tuple[str, ...]
    labels: NDArray[np.int64]
    patients: NDArray[np.int64]
    folds: NDArray[np.int64]
    centers: tuple[str, ...]
    probabilities: tuple[Floats, ...]
    called: tuple[NDArray[np.bool_], ...] | None

    @property
    def is_binary(self) -> bool:
        return len(self.label_names) == 2

    @property
    def has_every_label(self) -> bool:
        return len(np.unique(self.labels)) == len(self.label_names)

    @property
    def is_repeated(self) -> bool:
        """Whether a patient is tested in more than one fold."""
        return len(np.unique(self.patients)) < len(self.labels)

    @property
    def scores(self) -> tuple[Floats, ...]:
        """M times (N,) probability of the positive label, or (N, K) with more than two labels."""
        return tuple(p[:, 1] if self.is_binary else p for p in self.probabilities)

    @property
    def right(self) -> tuple[NDArray[np.bool_], ...] | None:
        """M times (N,): called right; with more than two labels by the most probable label."""
        if not self.is_binary:
            return tuple(p.argmax(1) == self.labels for p in self.probabilities)
        return None if self.called is None else tuple(called == (self.labels == 1) for called in self.called)

    @property
    def shares(self) -> dict[str, NDArray[np.bool_]]:
        """The shares of right calls, with the (N,) rows that each is of; none without thresholds."""
        everybody = np.ones(len(self.labels), dtype=bool)
        if not self.is_binary:
            return {"accuracy": everybody}
        if self.called is None:
            return {}
        return {"accuracy": everybody, "sensitivity": self.labels == 1, "specificity": self.labels == 0}


def side_by_side(entries: Entries, operating_point: str | None) -> Rows:
    """The rows of ``entries``, called at an operating point that was frozen in training."""
    test = entries.models[0].test
    return Rows(
        label_names=test.label_names,
        labels=np.array([test.label_names.index(label) for label in test.labels], dtype=np.int64),
        patients=patient_index(test.patient_ids, len(test.patient_ids)),
        folds=np.array(test.folds, dtype=np.int64),
        centers=test.centers,
        probabilities=tuple(model.test.probabilities for model in entries.models),
        called=_called(entries, operating_point),
    )


def _called(entries: Entries, operating_point: str | None) -> tuple[NDArray[np.bool_], ...] | None:
    called = []
    for model in entries.models:
        thresholds = model.thresholds.get(operating_point or "", {})
        if len(model.test.label_names) != 2 or not set(model.test.folds) <= set(thresholds):
            return None
        called.append(model.test.probabilities[:, 1] >= np.array([thresholds[fold] for fold in model.test.folds]))
    return tuple(called)
