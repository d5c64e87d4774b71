"""What training patients alone say of a model: the one figure by which a model may be picked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fusion.evaluation.discrimination import delong
from fusion.evaluation.figures import labels_of, patients_of
from fusion.evaluation.ranking import one_vs_rest
from fusion.records import Predictions
from fusion.runs.folder import INNER


class InnerAuc(NamedTuple):
    """AUC on inner predictions, and what kind of figure it is.

    Attributes:
        auc: Mean over the folds that have every label; higher is better.
        rows: Training patients who were predicted, with the fold.
        n_folds: That the mean is of.
        n_inner_folds: From 2, each patient was predicted by a model that had seen it neither in fitting nor in
            stopping; with 1 the patients' loss also chose the epoch.
        n_settings: That were tried; from 2, the figure is the largest of as many.
    """

    auc: float
    rows: frozenset[tuple[str, int]]
    n_folds: int
    n_inner_folds: int
    n_settings: int

    @property
    def n_patients(self) -> int:
        return len({patient for patient, _ in self.rows})

    @property
    def is_out_of_fold(self) -> bool:
        """Whether nothing was chosen on the patients that it is of."""
        return self.n_inner_folds > 1 and self.n_settings == 1

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if name != "rows"} | {
            "n_patients": self.n_patients
        }


class InnerRanking(NamedTuple):
    """Which models' inner AUCs can be set against each other.

    Attributes:
        best: The model with the largest of them, the first of equals; None where no two can.
        not_ranked: Of each other model, why.
    """

    best: int | None
    not_ranked: dict[int, str]


def inner_auc(inner: Predictions, config: Mapping[str, Any], *, level: float) -> InnerAuc | None:
    """The AUC of two labels, or the mean of the one-vs-rest AUCs of more, in each fold; and the folds' mean.

    Folds are not pooled: a training patient of several folds was predicted by other models in each.

    Args:
        inner: Labeled inner predictions, a row per patient and fold.
        config: Of the run.
        level: Of the evaluation; any will do, the figure has no interval.

    Returns:
        The mean; None where no fold has every label.
    """
    folds = sorted(set(inner.folds))
    of_folds = [_auc(inner.select(other == fold for other in inner.folds), level) for fold in folds]
    defined = [auc for auc in of_folds if not math.isnan(auc)]
    if not defined:
        return None
    split = config.get("split") or {}
    return InnerAuc(
        auc=float(np.mean(defined)),
        rows=frozenset(zip(inner.patient_ids, inner.folds, strict=True)),
        n_folds=len(defined),
        # Runs of before there were inner folds do not say so.
        n_inner_folds=split.get("n_inner_folds", 1),
        n_settings=math.prod(len(values) for entry in split.get("grid") or [] for values in entry.values()),
    )


def rank_by_inner(inner: Sequence[InnerAuc | None]) -> InnerRanking:
    """Rank the models whose inner AUCs are figures of one kind.

    These are the ones that are out of fold, of the same patients, and of the most where there are several such sets.
    Where no model is out of fold, they are all of them if all chose as much on the same patients: each figure is too
    high then, and none is by more for its kind.

    Args:
        inner: Of each model; None where it has none.
    """
    known = {place: of_model for place, of_model in enumerate(inner) if of_model is not None}
    clean = {place: of_model for place, of_model in known.items() if of_model.is_out_of_fold}
    ranked = _largest_set(clean) if clean else list(known) if len({_kind(of) for of in known.values()}) == 1 else []
    if len(ranked) < 2:
        ranked = []
    best = max(ranked, key=lambda place: known[place].auc, default=None)
    measure = None if best is None else known[best]
    others = [place for place in range(len(inner)) if place not in ranked]
    return InnerRanking(best, {place: _why_not(inner[place], measure) for place in others})


def _largest_set(clean: Mapping[int, InnerAuc]) -> list[int]:
    """The models of the same patients: of the most patients that two models share."""
    n_models = Counter(of_model.rows for of_model in clean.values())
    rows = max(n_models, key=lambda rows: (n_models[rows] > 1, len(rows)))
    return [place for place, of_model in clean.items() if of_model.rows == rows]


def _kind(of_model: InnerAuc) -> tuple[object, ...]:
    return of_model.rows, of_model.n_inner_folds, of_model.n_settings


def _why_not(of_model: InnerAuc | None, measure: InnerAuc | None) -> str:
    """Why a model is not ranked; ``measure`` is one that is."""
    if of_model is None:
        return f"no inner predictions of training patients with every label ({INNER})"
    of_ranked = "" if measure is None or measure.rows == of_model.rows else f", the ranked ones of {measure.n_patients}"
    who = f"of {of_model.n_patients} training patients"
    if of_model.n_inner_folds == 1:
        return f"{who} whose loss also chose the epoch (split.n_inner_folds=1){of_ranked}"
    if of_model.n_settings > 1:
        return f"{who}, and the largest of {of_model.n_settings} settings’ (split.grid){of_ranked}"
    if of_ranked:
        others = " others" if measure is not None and measure.n_patients == of_model.n_patients else ""
        return f"{who}{of_ranked}{others}"
    return f"{who}, out of fold, and no other model’s is of the same kind"


def _auc(rows: Predictions, level: float) -> float:
    labels, index = labels_of(rows), patients_of(rows)
    columns = one_vs_rest(labels, rows.probabilities)
    if len(columns) == 2:
        columns = columns[1:]
    return float(np.mean([delong(*column, level=level, patients=index).value for column in columns]))
