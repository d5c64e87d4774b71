"""Predictions → every figure of metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.calibration import brier, calibration
from fusion.evaluation.discrimination import delong, delong_fold_mean, macro_auc
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.operating_point import operating_point, proportion
from fusion.evaluation.patients import patient_index
from fusion.records import UNLABELED, Predictions

Metrics = dict[str, dict[str, float | int | None]]


def evaluate(
    patients: Predictions,
    cases: Predictions,
    *,
    thresholds: Mapping[int, float],
    level: float,
    n_bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Every figure of a run, each with its interval and its number of patients.

    Intervals know which rows belong to one patient, so neither several images nor several folds of a patient narrow
    them. Rows without a label are left out, and so is a part without rows.

    Args:
        patients: A row per patient and fold.
        cases: A row per case (image) and fold.
        thresholds: Fold number → threshold, frozen before the test part was looked at; each row is judged by its own
            fold's. Not used with more than two labels.
        level: Of the intervals, e.g. 0.95.
        n_bootstrap: Replicates where an interval is a bootstrap's.
        seed: Of the bootstrap.

    Returns:
        ``{"test": {metric: {"value", "ci_low", "ci_high", "n"}}, "train": …, "validation": …,
        "centers": {name: …}, "test_cases": …}``. Where the test part spans several folds, ``auc`` is pooled over
        them and ``auc_fold_mean`` stands beside it (with two labels). What the data do not define is None.

    Raises:
        ValueError: If a fold has no threshold.
    """
    settings = _Settings(thresholds=thresholds, level=level, n_bootstrap=n_bootstrap, seed=seed)
    labeled = patients.select(label != UNLABELED for label in patients.labels)
    test = labeled.select(part == "test" for part in labeled.parts)
    test_cases = cases.select(
        part == "test" and label != UNLABELED for part, label in zip(cases.parts, cases.labels, strict=True)
    )
    result: dict[str, Any] = {}
    if test.patient_ids:
        result["test"] = _figures(test, settings) | _fold_mean(test, settings)
    for name in ("train", "validation"):
        part = labeled.select(other == name for other in labeled.parts)
        if part.patient_ids:
            result[name] = _figures(part, settings)
    if test.patient_ids:
        result["centers"] = {
            center: _figures(test.select(other == center for other in test.centers), settings)
            for center in sorted(set(test.centers))
        }
    if test_cases.patient_ids:
        result["test_cases"] = _figures(test_cases, settings) | _fold_mean(test_cases, settings)
    return result


def evaluate_branch(patients: Predictions, *, level: float, n_bootstrap: int, seed: int) -> Metrics:
    """AUC of one branch alone on the test part (higher is better); empty where no test patient has the branch."""
    test = patients.select(
        part == "test" and label != UNLABELED for part, label in zip(patients.parts, patients.labels, strict=True)
    )
    if not test.patient_ids:
        return {}
    labels, index = _labels(test), _patients(test)
    if len(test.label_names) == 2:
        return {"auc": delong(labels, test.probabilities[:, 1], level=level, patients=index).as_json()}
    auc = macro_auc(labels, test.probabilities, patients=index, level=level, n_bootstrap=n_bootstrap, seed=seed)
    return {"auc": auc.as_json()}


@dataclass(frozen=True, kw_only=True)
class _Settings:
    thresholds: Mapping[int, float]
    level: float
    n_bootstrap: int
    seed: int

    @property
    def bootstrap(self) -> dict[str, Any]:
        return {"level": self.level, "n_bootstrap": self.n_bootstrap, "seed": self.seed}


def _figures(part: Predictions, settings: _Settings) -> Metrics:
    figures = _two_labels(part, settings) if len(part.label_names) == 2 else _many_labels(part, settings)
    return {name: estimate.as_json() for name, estimate in figures.items()}


def _two_labels(part: Predictions, settings: _Settings) -> dict[str, Estimate]:
    missing = sorted(set(part.folds) - set(settings.thresholds))
    if missing:
        raise ValueError(f"thresholds: required one per fold, none came for {missing}")
    labels, index = _labels(part), _patients(part)
    scores = part.probabilities[:, 1]
    thresholds = np.array([settings.thresholds[fold] for fold in part.folds])
    return {
        "auc": delong(labels, scores, level=settings.level, patients=index),
        **operating_point(labels, scores, thresholds, patients=index, **settings.bootstrap),
        "brier": brier(labels, part.probabilities, patients=index, **settings.bootstrap),
        **calibration(labels, scores, level=settings.level, patients=index),
    }


def _many_labels(part: Predictions, settings: _Settings) -> dict[str, Estimate]:
    labels, index = _labels(part), _patients(part)
    hits = (part.probabilities.argmax(1) == labels).astype(np.float64)
    one_vs_rest = {
        f"auc_{name}": delong(
            (labels == k).astype(np.int64), part.probabilities[:, k], level=settings.level, patients=index
        )
        for k, name in enumerate(part.label_names)
    }
    return {
        "auc": macro_auc(labels, part.probabilities, patients=index, **settings.bootstrap),
        "accuracy": proportion(hits, np.ones_like(hits), level=settings.level, patients=index),
        "brier": brier(labels, part.probabilities, patients=index, **settings.bootstrap),
        **one_vs_rest,
    }


def _fold_mean(part: Predictions, settings: _Settings) -> Metrics:
    if len(set(part.folds)) < 2 or len(part.label_names) > 2:
        return {}
    estimate = delong_fold_mean(
        _labels(part), part.probabilities[:, 1], np.array(part.folds), level=settings.level, patients=_patients(part)
    )
    return {"auc_fold_mean": estimate.as_json()}


def _labels(part: Predictions) -> NDArray[np.int64]:
    return np.array([part.label_names.index(label) for label in part.labels], dtype=np.int64)


def _patients(part: Predictions) -> NDArray[np.int64]:
    return patient_index(part.patient_ids, len(part.patient_ids))
