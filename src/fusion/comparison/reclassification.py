"""NRI and IDI, for those who are asked for them. Read the warning first."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import bca_of_totals
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.patients import patient_index, totals
from fusion.evaluation.scores import Patients

Floats = NDArray[np.float64]
WARNING = (
    "NRI and IDI can favor a model that adds nothing: with a useless marker, or with probabilities that are too "
    "extreme, they are above 0 more often than chance, also on patients never seen (Hilden & Gerds, Stat Med "
    "2014;33:3405-3414; Pepe et al., J Natl Cancer Inst 2014;106:dju041, and Stat Biosci 2015;7:282-295). Judge by "
    "the AUC, the Brier score and the net benefit, and give NRI and IDI only where they are demanded, the two labels "
    "apart."
)


def reclassification(
    labels01: NDArray[np.int64],
    first: Floats,
    second: Floats,
    *,
    first_called: NDArray[np.bool_],
    second_called: NDArray[np.bool_],
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> dict[str, Estimate]:
    """How far ``first`` moves probabilities in the right direction, compared with ``second``; above 0 for the better.

    Category-free NRI (Pencina et al., Stat Med 2011;30:11-21): among the positive the share that goes up less the
    share that goes down, plus among the negative the share that goes down less the share that goes up; in [-2, 2].
    NRI at the frozen threshold (Pencina et al., Stat Med 2008;27:157-172) counts only the rows whose call changes. IDI
    (the same paper): how much further apart the two labels' mean probabilities are; in [-2, 2]. The intervals are
    BCa, of patients within labels.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        first, second: (N,) probabilities of the positive label.
        first_called, second_called: (N,) who is called positive, at the frozen thresholds.
        level: Of the intervals.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        ``nri``, ``nri_at_threshold`` and ``idi``, and the part of each label, ``…_positive`` and ``…_negative``; NaN
        where a label is missing.
    """
    index = patient_index(patients, len(labels01))
    moves = {
        "nri": np.sign(first - second),
        "nri_at_threshold": first_called.astype(np.float64) - second_called,
        "idi": first - second,
    }
    result: dict[str, Estimate] = {}
    for measure, move in moves.items():
        result |= _three(measure, move, labels01, index, level=level, n_bootstrap=n_bootstrap, seed=seed)
    return result


def _three(
    measure: str,
    move: Floats,
    labels01: NDArray[np.int64],
    index: NDArray[np.int64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> dict[str, Estimate]:
    """A measure and its parts, from how much each row moves up."""
    positive = (labels01 == 1).astype(np.float64)
    columns = np.stack([move * positive, positive, -move * (1 - positive), 1 - positive], axis=1)
    by_patient = totals(columns, index)
    strata = (by_patient[:, 1] > 0).astype(np.int64)
    parts = {measure: (0, 2), f"{measure}_positive": (0,), f"{measure}_negative": (2,)}
    result = {}
    for name, starts in parts.items():

        def statistic(sums: Floats, starts: tuple[int, ...] = starts) -> Floats:
            return np.asarray(sum(_mean(sums[:, start], sums[:, start + 1]) for start in starts))

        low, high = bca_of_totals(by_patient, strata, statistic, level=level, n_bootstrap=n_bootstrap, seed=seed)
        n = int(np.sum(sum(by_patient[:, start + 1] for start in starts) > 0))
        result[name] = Estimate(value=float(statistic(by_patient.sum(0)[None])[0]), ci_low=low, ci_high=high, n=n)
    return result


def _mean(sums: Floats, counts: Floats) -> Floats:
    return np.divide(sums, counts, out=np.full_like(sums, math.nan), where=counts > 0)
