"""A reader's score, judged like a model on the same patients, and what the model adds to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from fusion.evaluation.discrimination import delong, delong_difference
from fusion.evaluation.operating_point import operating_point
from fusion.evaluation.patients import patient_index
from fusion.evaluation.proportion import binary_shares
from fusion.evaluation.thresholds import youden_threshold
from fusion.records import UNLABELED, Cohort, Predictions

# A probability of exactly 0 or 1 has no logit; this is about what a softmax in float32 can still tell from them.
_NEAREST_TO_CERTAIN = 1e-6
# Standard deviation of the normal prior on the coefficients of standardized inputs: weak, and finite where the labels
# are perfectly separated (the scale of Gelman et al., Ann Appl Stat 2008;2:1360-1383).
_PRIOR_SD = 2.5


def evaluate_reader(
    cohort: Cohort,
    test: Predictions,
    inner: Predictions,
    *,
    thresholds: Mapping[int, float],
    is_input: bool,
    prevalence: float | None,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> dict[str, Any] | None:
    """Figures of the reader, of the model, and of both together, on the same test patients.

    The reader's score is the rank of its level; of a patient with several cases the highest, as the most suspicious
    finding decides what is done. Everything that is chosen is chosen on a fold's inner rows and applied, frozen, to
    its test rows:

    - the cut of the reader's score, by Youden's rule; ``cuts`` shows every cut, chosen by nobody;
    - model and reader together, a logistic regression of the outcome on logit(model's probability) and the reader's
      rank, standardized, under a weak normal prior (standard deviation 2.5) that keeps it finite;
    - its threshold, by Youden's rule on the rows it was fitted on: three coefficients overfit little, and what they
      overfit makes the threshold worse and never the figures better.

    Patients without a reader's score or a label are left out of all three, and so are test rows of a fold whose inner
    rows with a score lack a label; ``text`` counts them. Differences of AUC are tested by DeLong's paired test.

    Args:
        cohort: Holds the reader's scores.
        test: Scored rows, a row per patient and fold.
        inner: Rows of the same folds that the model was not fitted on: the validation part, or out-of-fold
            predictions of the training part.
        thresholds: Fold number → the model's frozen threshold.
        is_input: Whether the model has the score already: then there is nothing to add it to.
        prevalence: For predictive values where the model will be used; None: only at the patients' own.
        level: Of the intervals.
        n_bootstrap: Replicates where an interval is a bootstrap's.
        seed: Of the bootstrap.

    Returns:
        None where the cohort has no reader's score, no test patient has one, or there are more than two labels (the
        levels are in order of one suspicion only). Otherwise ``name``; ``n``, ``n_positive`` and ``n_left_out`` in
        patients with a label; ``reader``, ``model`` and, unless ``is_input``, ``model_and_reader``: name → estimate
        as JSON; ``differences``: ``{"first", "second", "difference", "p"}`` of AUCs, first minus second; ``cuts``:
        the reader's shares at every cut; ``chosen_cuts`` by fold; ``is_input``; ``text``, what a person should know.

    Raises:
        ValueError: If a fold has no threshold.
    """
    if cohort.reader_column is None or len(test.label_names) != 2:
        return None
    rank_of = reader_ranks(cohort)
    learned = _fit_folds(_rows(inner, rank_of), with_model=not is_input)
    scored = _rows(test, rank_of)
    rows = scored.where(np.isin(scored.folds, list(learned)))
    if not rows.patient_ids:
        return None
    missing = sorted(set(rows.folds.tolist()) - set(thresholds))
    if missing:
        raise ValueError(f"thresholds: required one per fold, none came for {missing}")
    settings = {"prevalence": prevalence, "level": level, "n_bootstrap": n_bootstrap, "seed": seed}
    judged = _judged(rows, learned, thresholds, with_model=not is_input)
    labeled = {who for who, label in zip(test.patient_ids, test.labels, strict=True) if label != UNLABELED}
    left_out_folds = sorted(set(scored.folds.tolist()) - set(learned))
    return {
        "name": cohort.reader_column,
        "n": len(set(rows.patient_ids)),
        "n_positive": len({who for who, label in zip(rows.patient_ids, rows.labels01, strict=True) if label == 1}),
        "n_left_out": len(labeled - set(rows.patient_ids)),
        "is_input": is_input,
        **{name: _figures(rows, one, settings) for name, one in judged.items()},
        "differences": _differences(rows, judged, level=level),
        "cuts": _cuts(rows, cohort.reader_levels, level=level),
        "chosen_cuts": {str(fold): cohort.reader_levels[math.ceil(own.cut)] for fold, own in sorted(learned.items())},
        "text": _text(
            cohort.reader_column,
            n_without=len(labeled - set(scored.patient_ids)),
            left_out_folds=left_out_folds,
            is_input=is_input,
        ),
    }


def reader_ranks(cohort: Cohort) -> dict[str, int]:
    """Patient → rank of the highest level that a reader gave to one of the patient's cases, 0 for the lowest level."""
    ranks = {
        patient_id: [cohort.reader_levels.index(case.reader_score) for case in cases if case.reader_score is not None]
        for patient_id, cases in cohort.patients.items()
    }
    return {patient_id: max(found) for patient_id, found in ranks.items() if found}


class ModelAndReader(NamedTuple):
    """A fitted logistic regression; the score is its linear predictor.

    Attributes:
        intercept: Log odds at a model's probability of 0.5 and the lowest level.
        model: Log odds ratio per unit of the model's logit.
        reader: Log odds ratio per level.
    """

    intercept: float
    model: float
    reader: float

    @classmethod
    def fit(
        cls, labels01: NDArray[np.int64], probabilities: NDArray[np.float64], ranks: NDArray[np.float64]
    ) -> ModelAndReader:
        """Fit on (N,) rows of both labels."""
        from sklearn.linear_model import LogisticRegression

        X = _inputs(probabilities, ranks)
        means, scales = X.mean(0), X.std(0)
        # Inputs that are all the same say nothing and get a coefficient of 0.
        scales[scales < 1e-12] = 1.0
        regression = LogisticRegression(C=_PRIOR_SD**2, l1_ratio=0.0, solver="newton-cholesky", tol=1e-8)
        regression.fit((X - means) / scales, labels01)
        slopes = regression.coef_[0] / scales
        return cls(float(regression.intercept_[0] - slopes @ means), float(slopes[0]), float(slopes[1]))

    def scores(self, probabilities: NDArray[np.float64], ranks: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) log odds of the positive label."""
        log_odds: NDArray[np.float64] = self.intercept + _inputs(probabilities, ranks) @ np.array(self[1:])
        return log_odds


def _inputs(probabilities: NDArray[np.float64], ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(probabilities, _NEAREST_TO_CERTAIN, 1 - _NEAREST_TO_CERTAIN)
    return np.stack([logit(clipped), ranks], axis=1)


class _Rows(NamedTuple):
    """Rows with a label and a reader's score; each attribute is (N,)."""

    patient_ids: tuple[str, ...]
    folds: NDArray[np.int64]
    labels01: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    ranks: NDArray[np.float64]

    def where(self, kept: NDArray[np.bool_]) -> _Rows:
        patient_ids = tuple(who for who, keep in zip(self.patient_ids, kept, strict=True) if keep)
        return _Rows(patient_ids, self.folds[kept], self.labels01[kept], self.probabilities[kept], self.ranks[kept])


def _rows(predictions: Predictions, rank_of: Mapping[str, int]) -> _Rows:
    kept = predictions.select(
        label != UNLABELED and patient_id in rank_of
        for label, patient_id in zip(predictions.labels, predictions.patient_ids, strict=True)
    )
    return _Rows(
        patient_ids=kept.patient_ids,
        folds=np.array(kept.folds, dtype=np.int64),
        labels01=np.array([label == kept.label_names[1] for label in kept.labels], dtype=np.int64),
        probabilities=kept.probabilities[:, 1],
        ranks=np.array([rank_of[patient_id] for patient_id in kept.patient_ids], dtype=np.float64),
    )


class _Learned(NamedTuple):
    """What one fold's inner rows gave: the reader's cut, and both together with their threshold."""

    cut: float
    both: ModelAndReader | None
    both_threshold: float


def _fit_folds(inner: _Rows, *, with_model: bool) -> dict[int, _Learned]:
    """By fold; a fold whose inner rows lack a label has none."""
    by_fold = {fold: inner.where(inner.folds == fold) for fold in sorted(set(inner.folds.tolist()))}
    return {
        fold: _fit_fold(rows, with_model=with_model)
        for fold, rows in by_fold.items()
        if len(set(rows.labels01.tolist())) == 2
    }


def _fit_fold(rows: _Rows, *, with_model: bool) -> _Learned:
    cut = youden_threshold(rows.labels01, rows.ranks)
    if not with_model:
        return _Learned(cut, None, math.nan)
    both = ModelAndReader.fit(rows.labels01, rows.probabilities, rows.ranks)
    return _Learned(cut, both, youden_threshold(rows.labels01, both.scores(rows.probabilities, rows.ranks)))


class _Scored(NamedTuple):
    """(N,) scores and the threshold of each row's fold."""

    scores: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def _judged(
    rows: _Rows, learned: Mapping[int, _Learned], thresholds: Mapping[int, float], *, with_model: bool
) -> dict[str, _Scored]:
    folds = rows.folds.tolist()
    judged = {
        "reader": _Scored(rows.ranks, np.array([learned[fold].cut for fold in folds])),
        "model": _Scored(rows.probabilities, np.array([thresholds[fold] for fold in folds])),
    }
    if with_model:
        scores = np.empty(len(folds))
        for fold in set(folds):
            own, both = rows.folds == fold, learned[fold].both
            if both is not None:
                scores[own] = both.scores(rows.probabilities[own], rows.ranks[own])
        judged["model_and_reader"] = _Scored(scores, np.array([learned[fold].both_threshold for fold in folds]))
    return judged


def _figures(rows: _Rows, scored: _Scored, settings: dict[str, Any]) -> dict[str, Any]:
    index = patient_index(rows.patient_ids, len(rows.labels01))
    figures = {
        "auc": delong(rows.labels01, scored.scores, level=settings["level"], patients=index),
        **operating_point(rows.labels01, scored.scores, scored.thresholds, patients=index, **settings),
    }
    return {name: estimate.as_json() for name, estimate in figures.items()}


def _differences(rows: _Rows, judged: Mapping[str, _Scored], *, level: float) -> list[dict[str, Any]]:
    """Of every pair, the later one first: model - reader, both - reader, both - model."""
    differences = []
    for second, first in combinations(judged, 2):
        result = delong_difference(
            rows.labels01, judged[first].scores, judged[second].scores, level=level, patients=rows.patient_ids
        )
        p = None if math.isnan(result.p) else result.p
        differences.append({"first": first, "second": second, "difference": result.difference.as_json(), "p": p})
    return differences


def _cuts(rows: _Rows, levels: tuple[str, ...], *, level: float) -> list[dict[str, Any]]:
    index, positive = patient_index(rows.patient_ids, len(rows.labels01)), rows.labels01 == 1
    table = []
    for rank in range(1, len(levels)):
        shares = binary_shares(positive, rows.ranks >= rank, level=level, patients=index)
        figures = {name: estimate.as_json() for name, estimate in shares.items()}
        table.append({"cut": f">= {levels[rank]}", "figures": figures})
    return table


def _text(name: str, *, n_without: int, left_out_folds: list[int], is_input: bool) -> str:
    sentences = []
    if n_without:
        sentences.append(f"{n_without} test patients without {name} are in none of these figures.")
    if left_out_folds:
        folds = ", ".join(str(fold) for fold in left_out_folds)
        sentences.append(
            f"Fold {folds} is in none of these figures: to choose a cut of {name} it needs inner patients of both "
            "labels who have one."
        )
    if is_input:
        sentences.append(
            f"The reader's {name} is an input of the model, so the model's figures contain it already and it is not "
            "added to them once more. What the other inputs say without it: train once more with "
            "cohort.reader_score.as_input=false and put both runs into fusion compare."
        )
    else:
        sentences.append(f"The reader's {name} is no input of the model.")
    return " ".join(sentences)
