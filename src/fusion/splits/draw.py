"""Draw patients into parts so that label and center are spread evenly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion.records import Cohort


def spread_order(cohort: Cohort, patient_ids: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Shuffle the patients, then sort them by label and, within a label, by center.

    Every systematic sample of the result (each k-th patient) holds each label, and each center within a label, in
    proportion to within one patient: stratification by both, which does not fail where a stratum is small.
    """
    patients = cohort.patients
    # Sorted first, so that the draw depends on the patients and the seed and not on the order of the table.
    shuffled = rng.permutation(np.array(sorted(patient_ids), dtype=object)).tolist()
    return sorted(
        shuffled, key=lambda patient_id: (patients[patient_id][0].label or "", patients[patient_id][0].center)
    )


def draw_fraction(ordered: Sequence[str], fraction: float, rng: np.random.Generator) -> frozenset[str]:
    """A systematic sample of ``fraction`` of the ordered patients, from a random start.

    Args:
        ordered: As ``spread_order`` gives them.
        fraction: In [0, 1).
        rng: For the random start.
    """
    ticks = np.floor(np.arange(len(ordered) + 1) * fraction + rng.random())
    return frozenset(patient_id for patient_id, step in zip(ordered, np.diff(ticks), strict=True) if step > 0)


def deal(ordered: Sequence[str], n_folds: int) -> list[frozenset[str]]:
    """Deal the ordered patients to ``n_folds`` hands of equal size (to within one patient)."""
    return [frozenset(ordered[start::n_folds]) for start in range(n_folds)]
