"""From the images of a patient to the patient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fusion.records import Predictions

# The fold number of what all folds said together.
ALL_FOLDS = -1


def average_folds(folds: Predictions) -> Predictions:
    """Mean probability of each case over the folds' models.

    Args:
        folds: A row per case and fold, every fold with the same cases.

    Returns:
        A row per case, in the order of the first fold; its fold number is ``ALL_FOLDS``, or the only fold's.
    """
    numbers = sorted(set(folds.folds))
    parts = [folds.select(number == fold for fold in folds.folds) for number in numbers]
    if any(part.case_ids != parts[0].case_ids for part in parts):
        raise ValueError("required the same cases of every fold, came different ones")
    number = numbers[0] if len(numbers) == 1 else ALL_FOLDS
    probabilities = np.mean([part.probabilities for part in parts], axis=0)
    return replace(parts[0], probabilities=probabilities, folds=(number,) * len(parts[0].folds))


def pool_cases(case_predictions: Predictions) -> Predictions:
    """Mean probability of a patient's cases, per fold and part.

    Args:
        case_predictions: A row per case and fold.

    Returns:
        A row per patient, fold and part, in the order of their first cases; center and label are the first case's.

    Raises:
        ValueError: If a patient's cases have different labels in one fold.
    """
    keys = zip(case_predictions.patient_ids, case_predictions.folds, case_predictions.parts, strict=True)
    groups: dict[tuple[str, int, str], list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    for (patient_id, *_), rows in groups.items():
        labels = {case_predictions.labels[row] for row in rows}
        if len(labels) > 1:
            raise ValueError(f"patient {patient_id!r}: required one label, came {sorted(labels)}")
    firsts = [rows[0] for rows in groups.values()]
    picked: dict[str, Any] = {
        name: tuple(getattr(case_predictions, name)[row] for row in firsts)
        for name in ("patient_ids", "centers", "parts", "folds", "labels")
    }
    means = [case_predictions.probabilities[rows].mean(0) for rows in groups.values()]
    shape = (len(groups), len(case_predictions.label_names))
    probabilities = np.array(means, dtype=np.float64).reshape(shape)
    return replace(case_predictions, probabilities=probabilities, case_ids=None, **picked)
