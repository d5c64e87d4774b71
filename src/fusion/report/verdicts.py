"""How each test patient was judged: right or wrong, and how surely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.records import UNLABELED
from fusion.report.run_folder import FinishedRun

# From the threshold, in probability; with more than two labels, between the two most probable ones.
NEAR = 0.1


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Of one test patient, over the folds that tested it: one, or under repeated cross-validation several.

    Attributes:
        patient_id, center: Of the patient.
        label: Empty where the outcome is unknown.
        called: The label that was given most often; of those given as often the one first in the label set.
        probability: Mean; of the positive label, with more than two labels of the one that was called.
        own: Mean probability of the patient's own label; None where the outcome is unknown.
        n_tests: Folds that tested the patient.
        n_wrong: Those that put it on the wrong side of their thresholds.
        distance: Mean distance from the threshold, above 0 on the positive side; with more than two labels the mean
            lead of the most probable label.
        is_split: Whether the folds did not all call the same label.
    """

    patient_id: str
    center: str
    label: str
    called: str
    probability: float
    own: float | None
    n_tests: int
    n_wrong: int
    distance: float
    is_split: bool

    @property
    def is_uncertain(self) -> bool:
        """Within ``NEAR`` of being called otherwise, or called otherwise by some of the folds."""
        return self.is_split or abs(self.distance) < NEAR

    @property
    def name(self) -> str:
        """``wrong`` where at least one fold was, else ``correct``; ``unknown`` without an outcome."""
        if self.label == UNLABELED:
            return "unknown"
        return "wrong" if self.n_wrong else "correct"


def verdicts(run: FinishedRun) -> list[Verdict]:
    """Of every test patient, the one whose own label was given the least probability first, unknown outcomes last."""
    rows: dict[str, list[int]] = {}
    for row, part in enumerate(run.patients.parts):
        if part == "test":
            rows.setdefault(run.patients.patient_ids[row], []).append(row)
    found = [_verdict(run, np.array(of_patient)) for of_patient in rows.values()]
    return sorted(found, key=lambda verdict: (verdict.own is None, verdict.own or 0.0, verdict.patient_id))


def _verdict(run: FinishedRun, rows: NDArray[np.intp]) -> Verdict:
    patients, first = run.patients, int(rows[0])
    probabilities = patients.probabilities[rows]
    called, distances = _calls(run, rows)
    counts = np.bincount(called, minlength=len(patients.label_names))
    most, mean, label = int(counts.argmax()), probabilities.mean(0), patients.labels[first]
    is_known = label != UNLABELED
    own = patients.label_names.index(label) if is_known else None
    return Verdict(
        patient_id=patients.patient_ids[first],
        center=patients.centers[first],
        label=label,
        called=patients.label_names[most],
        probability=float(mean[-1] if run.is_binary else mean[most]),
        own=None if own is None else float(mean[own]),
        n_tests=len(rows),
        n_wrong=0 if own is None else int((called != own).sum()),
        distance=float(distances.mean()),
        is_split=len(set(called.tolist())) > 1,
    )


def _calls(run: FinishedRun, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Of each row the label that was called, and how far it was from another one; as fusion.report.mistakes does."""
    probabilities = run.patients.probabilities[rows]
    if not run.is_binary:
        ordered = np.sort(probabilities, axis=1)
        return probabilities.argmax(1), ordered[:, -1] - ordered[:, -2]
    thresholds = [run.thresholds.get(run.patients.folds[row]) for row in rows.tolist()]
    scores = probabilities[:, 1]
    called = [
        int(p.argmax()) if threshold is None else int(p[1] >= threshold)
        for p, threshold in zip(probabilities, thresholds, strict=True)
    ]
    distances = scores - np.array([0.5 if threshold is None else threshold for threshold in thresholds])
    return np.array(called), distances
