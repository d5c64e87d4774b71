"""Which of two models is right more often, where only one of them is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.patients import patient_index, totals
from fusion.evaluation.scores import Patients


class McNemar(NamedTuple):
    """McNemar's test.

    Attributes:
        first_only, second_only: Rows that only this model called right.
        p: Exact, two-sided.
        mid_p: Less conservative: of the outcomes as far from even as this one, half are counted.
    """

    first_only: int
    second_only: int
    p: float
    mid_p: float


def mcnemar(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_], *, patients: Patients = None) -> McNemar:
    """Exact test that two models are right equally often (McNemar, Psychometrika 1947;12:153-157).

    Under the hypothesis the sign of a patient's difference in right calls is a coin's, whatever its size. The
    distribution of the sum is made exactly, patient by patient. With a row per patient that is the exact binomial test
    on the discordant pairs, and its mid-p version (advised by Fagerland et al., BMC Med Res Methodol 2013;13:91);
    where a patient has several rows, these count as one patient.

    Args:
        first_right, second_right: (N,) whether each model called the row right.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The test; both p values are 1 where the models are never apart.
    """
    only = np.stack([first_right & ~second_right, second_right & ~first_right], axis=1).astype(np.float64)
    by_patient = totals(only, patient_index(patients, len(only)))
    differences = np.rint(by_patient[:, 0] - by_patient[:, 1]).astype(np.int64)
    counts = (int(only[:, 0].sum()), int(only[:, 1].sum()))
    sizes = np.abs(differences[differences != 0])
    if not len(sizes):
        return McNemar(*counts, p=1.0, mid_p=1.0)
    sums = np.abs(np.arange(-sizes.sum(), sizes.sum() + 1))
    chances, observed = _chances_of_sums(sizes), abs(int(differences.sum()))
    beyond, equal = float(chances[sums > observed].sum()), float(chances[sums == observed].sum())
    return McNemar(*counts, p=min(beyond + equal, 1.0), mid_p=min(beyond + equal / 2, 1.0))


def _chances_of_sums(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each sum of ±sizes, from -Σ to Σ."""
    chances = np.ones(1)
    for size in sizes:
        # Adding ±size: the same distribution moved down and up, each with half of its weight.
        chances = (np.pad(chances, (0, 2 * size)) + np.pad(chances, (2 * size, 0))) / 2
    return chances
