"""How far the leading runs of a sweep are apart, on the inner predictions that they were ranked by."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.comparison.holm import holm
from fusion.evaluation.bootstrap import bca_of_weights, bootstrap_weights
from fusion.evaluation.delong import PairedDifference
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.evaluate import of_part
from fusion.evaluation.patients import patient_index
from fusion.evaluation.pooling import pool_cases
from fusion.evaluation.ranking import RankedRows, one_vs_rest, ranked_rows
from fusion.evaluation.roc import auc_of_counts
from fusion.records import Predictions
from fusion.runs.folder import INNER
from fusion.runs.tables import read_predictions

Floats = NDArray[np.float64]


def compare_leading(
    sweep_dir: Path, folders: Sequence[str], *, level: float, n_bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Each pair of runs, the better one less the other, with Holm's p over the pairs.

    Args:
        sweep_dir: Of the sweep.
        folders: Of the runs in it, the best first; their inner predictions are of the same patients in the same folds.
        level: Of the intervals.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.

    Returns:
        ``[{"better", "other", "difference": {"value", "ci_low", "ci_high", "n"}, "p", "p_holm"}]``; p is None where it
        is not defined.
    """
    inner = _aligned([_read(sweep_dir / folder / INNER) for folder in folders])
    tests = [
        (folders[better], folders[other], fold_mean_difference(inner[better], inner[other], level, n_bootstrap, seed))
        for better, other in itertools.combinations(range(len(folders)), 2)
    ]
    adjusted = holm([test.p for _, _, test in tests])
    return [
        {
            "better": better,
            "other": other,
            "difference": test.difference.as_json(),
            "p": _number(test.p),
            "p_holm": _number(p_holm),
        }
        for (better, other, test), p_holm in zip(tests, adjusted, strict=True)
    ]


def fold_mean_difference(
    first: Predictions, second: Predictions, level: float, n_bootstrap: int, seed: int
) -> PairedDifference:
    """Mean over folds of ``first``'s AUC less ``second``'s, both on the same resampled patients.

    It is the difference of two inner scores. Patients are drawn within labels, and a patient of several folds is drawn
    in all of them; the interval is BCa. With one fold this is ``fusion.comparison.auc_difference``’s bootstrap
    difference, interval and p.

    Args:
        first, second: The same labeled rows in the same order, one per patient and fold.
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.

    Returns:
        The difference, above 0 where ``first`` is better; NaN where no fold has every label.
    """
    labels = np.array([first.label_names.index(label) for label in first.labels], dtype=np.int64)
    index = patient_index(first.patient_ids, len(labels))
    strata = np.zeros(int(index.max()) + 1, dtype=np.int64)
    strata[index] = labels
    folds = np.array(first.folds)
    pairs = [
        [_rankings(labels[rows], model.probabilities[rows], index[rows]) for model in (first, second)]
        for rows in (folds == fold for fold in np.unique(folds))
    ]

    def statistic(weights: Floats) -> Floats:
        return _mean_of_defined([_auc(one, weights) - _auc(other, weights) for one, other in pairs])

    value = float(statistic(np.ones((1, len(strata))))[0])
    if math.isnan(value):
        return PairedDifference(Estimate(value=value, ci_low=math.nan, ci_high=math.nan, n=len(strata)), math.nan)
    low, high = bca_of_weights(strata, statistic, level=level, n_bootstrap=n_bootstrap, seed=seed)
    drawn = bootstrap_weights(strata, n_bootstrap=n_bootstrap, seed=seed)
    replicates = np.concatenate([statistic(chunk) for chunk in drawn])
    return PairedDifference(Estimate(value=value, ci_low=low, ci_high=high, n=len(strata)), _p(replicates))


def _read(path: Path) -> Predictions:
    return of_part(pool_cases(read_predictions(path, model=path.parent.name)), "validation")


def _aligned(inner: Sequence[Predictions]) -> list[Predictions]:
    """The rows of each in the order of the first."""
    order = list(zip(inner[0].patient_ids, inner[0].folds, strict=True))
    aligned = []
    for of_run in inner:
        place = {key: row for row, key in enumerate(zip(of_run.patient_ids, of_run.folds, strict=True))}
        rows = [place[key] for key in order]
        columns: dict[str, Any] = {
            name: tuple(getattr(of_run, name)[row] for row in rows)
            for name in ("patient_ids", "centers", "parts", "folds", "labels")
        }
        aligned.append(replace(of_run, probabilities=of_run.probabilities[rows], **columns))
    return aligned


def _rankings(labels: NDArray[np.int64], probabilities: Floats, index: NDArray[np.int64]) -> list[RankedRows]:
    """Of the one score with two labels, of each label's with more."""
    columns = one_vs_rest(labels, probabilities)
    return [ranked_rows(*column, index) for column in (columns[1:] if len(columns) == 2 else columns)]


def _auc(rankings: Sequence[RankedRows], weights: Floats) -> Floats:
    # A fold may lack a label, or lose it in a replicate.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.mean([auc_of_counts(*ranking.counts(weights)) for ranking in rankings], axis=0))


def _mean_of_defined(of_folds: Sequence[Floats]) -> Floats:
    values = np.stack(of_folds)
    is_defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(is_defined, values, 0).sum(axis=0) / is_defined.sum(axis=0))


def _p(replicates: Floats) -> float:
    # Equal AUCs may differ by rounding.
    rounded = np.where(np.abs(replicates) <= 1e-12, 0.0, replicates)
    rounded = rounded[~np.isnan(rounded)]
    if not len(rounded) or (np.ptp(rounded) <= 1e-12 and rounded[0] != 0):
        return math.nan
    fewer = min(int(np.sum(rounded <= 0)), int(np.sum(rounded >= 0)))
    return min(1.0, 2 * (1 + fewer) / (1 + len(rounded)))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
