"""The patients whom the model judged most wrongly."""

from __future__ import annotations

from typing import NamedTuple

from fusion.report.run_folder import FinishedRun


class Mistake(NamedTuple):
    """A test patient on the wrong side.

    Attributes:
        probability: Of the patient's own label; the lower, the worse.
        called: The label that was given instead.
        threshold: Of the patient's fold, on the positive label's probability; None with more than two labels, or
            where the run recorded none (0.5 judges then).
    """

    patient_id: str
    center: str
    fold: int
    label: str
    called: str
    probability: float
    threshold: float | None


def worst_mistakes(run: FinishedRun) -> list[Mistake]:
    """Every mistaken test patient, the most confident mistake first; ties in the order of the table."""
    test, mistakes = run.test, []
    for row, label in enumerate(test.labels):
        probabilities = test.probabilities[row]
        threshold = run.thresholds.get(test.folds[row]) if len(test.label_names) == 2 else None
        called = test.label_names[
            int(probabilities.argmax()) if threshold is None else int(probabilities[1] >= threshold)
        ]
        if called != label:
            own = float(probabilities[test.label_names.index(label)])
            patient = (test.patient_ids[row], test.centers[row], test.folds[row])
            mistakes.append(Mistake(*patient, label, called, own, threshold))
    return sorted(mistakes, key=lambda mistake: mistake.probability)
