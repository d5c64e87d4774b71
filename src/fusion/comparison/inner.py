"""What training patients alone say of a model: the one figure by which a model may be picked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fusion.evaluation.discrimination import delong
from fusion.evaluation.figures import labels_of, patients_of
from fusion.evaluation.ranking import one_vs_rest
from fusion.records import Predictions


class InnerAuc(NamedTuple):
    """AUC on inner predictions.

    Attributes:
        auc: Mean over the folds that have every label; higher is better.
        n_patients: Training patients who were predicted.
        n_folds: That the mean is of.
    """

    auc: float
    n_patients: int
    n_folds: int


def inner_auc(inner: Predictions, *, level: float) -> InnerAuc | None:
    """The AUC of two labels, or the mean of the one-vs-rest AUCs of more, in each fold; and the folds' mean.

    Folds are not pooled: a training patient of several folds was predicted by other models in each.

    Args:
        inner: Labeled inner predictions, a row per patient and fold.
        level: Of the evaluation; any will do, the figure has no interval.

    Returns:
        The mean; None where no fold has every label.
    """
    folds = sorted(set(inner.folds))
    of_folds = [_auc(inner.select(other == fold for other in inner.folds), level) for fold in folds]
    defined = [auc for auc in of_folds if not math.isnan(auc)]
    if not defined:
        return None
    return InnerAuc(float(np.mean(defined)), len(set(inner.patient_ids)), len(defined))


def best_by_inner(inner: Sequence[InnerAuc | None]) -> int | None:
    """The model with the largest inner AUC, the first of equals; None where a model has none."""
    aucs = [math.nan if of_model is None else of_model.auc for of_model in inner]
    return None if any(map(math.isnan, aucs)) else int(np.argmax(aucs))


def _auc(rows: Predictions, level: float) -> float:
    labels, index = labels_of(rows), patients_of(rows)
    columns = one_vs_rest(labels, rows.probabilities)
    if len(columns) == 2:
        columns = columns[1:]
    return float(np.mean([delong(*column, level=level, patients=index).value for column in columns]))
