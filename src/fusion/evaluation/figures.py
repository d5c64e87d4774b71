"""Every figure of one set of scored rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.calibration import brier, brier_scaled, calibration
from fusion.evaluation.class_figures import class_figures
from fusion.evaluation.discrimination import (
    average_precision,
    delong,
    delong_fold_mean,
    macro_auc,
    macro_average_precision,
    partial_auc,
)
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.operating_point import operating_point
from fusion.evaluation.patients import patient_index
from fusion.evaluation.risk_groups import ece, hosmer_lemeshow
from fusion.evaluation.settings import Settings
from fusion.evaluation.smooth_calibration import ici
from fusion.records import Predictions


def figures(rows: Predictions, *, thresholds: Mapping[int, float], settings: Settings) -> dict[str, Estimate]:
    """Discrimination, the primary operating point and calibration, each with its interval.

    Args:
        rows: Labeled rows, of patients or of cases.
        thresholds: Fold number → frozen threshold of the primary operating point; not used with more than two labels.
        settings: Of the evaluation.

    Raises:
        ValueError: If a fold has no threshold.
    """
    if len(rows.label_names) == 2:
        return _of_two_labels(rows, thresholds, settings)
    return _of_many_labels(rows, settings)


def group_figures(rows: Predictions, *, thresholds: Mapping[int, float], settings: Settings) -> dict[str, Estimate]:
    """What a small group of patients bears: AUC, the primary operating point, Brier score, calibration line.

    Args:
        rows, thresholds, settings: As of ``figures``.

    Raises:
        ValueError: If a fold has no threshold.
    """
    if len(rows.label_names) > 2:
        return _of_many_labels(rows, settings)
    labels, index = labels_of(rows), patients_of(rows)
    return {
        "auc": auc(rows, settings=settings),
        **figures_at(rows, thresholds=thresholds, settings=settings),
        "brier": brier(labels, rows.probabilities, patients=index, **settings.bootstrap),
        **calibration(labels, rows.probabilities[:, 1], level=settings.level, patients=index),
    }


def figures_at(rows: Predictions, *, thresholds: Mapping[int, float], settings: Settings) -> dict[str, Estimate]:
    """Figures of two labels at frozen thresholds, each row judged by its fold's.

    Raises:
        ValueError: If a fold has no threshold.
    """
    missing = sorted(set(rows.folds) - set(thresholds))
    if missing:
        raise ValueError(f"thresholds: required one per fold, none came for {missing}")
    return operating_point(
        labels_of(rows),
        rows.probabilities[:, 1],
        np.array([thresholds[fold] for fold in rows.folds]),
        prevalence=settings.prevalence,
        patients=patients_of(rows),
        **settings.bootstrap,
    )


def fold_mean(rows: Predictions, *, settings: Settings) -> dict[str, Estimate]:
    """``auc_fold_mean`` where the rows span several folds of a cross-validation; higher is better.

    With more than two labels it is the mean over folds of the mean of the one-vs-rest AUCs, with DeLong's interval as
    with two. A fold in which a label is missing has no such mean and is left out, with its patients.
    """
    labels, folds, index = labels_of(rows), np.array(rows.folds), patients_of(rows)
    if len(set(rows.folds)) < 2:
        return {}
    n_labels = len(rows.label_names)
    if n_labels == 2:
        ones, scores = labels, rows.probabilities[:, 1]
    else:
        complete = [fold for fold in np.unique(folds) if len(np.unique(labels[folds == fold])) == n_labels]
        kept = np.isin(folds, complete)
        # Each label's rows below each other, as folds of their own: the mean over those is the mean of the means.
        ones = np.concatenate([(labels[kept] == k).astype(np.int64) for k in range(n_labels)])
        scores = rows.probabilities[kept].T.ravel()
        folds = np.concatenate([folds[kept] * n_labels + k for k in range(n_labels)])
        index = np.tile(index[kept], n_labels)
    return {"auc_fold_mean": delong_fold_mean(ones, scores, folds, level=settings.level, patients=index)}


def auc(rows: Predictions, *, settings: Settings) -> Estimate:
    """The AUC of two labels, or the mean of the one-vs-rest AUCs of more; higher is better."""
    labels, index = labels_of(rows), patients_of(rows)
    if len(rows.label_names) == 2:
        return delong(labels, rows.probabilities[:, 1], level=settings.level, patients=index)
    return macro_auc(labels, rows.probabilities, patients=index, **settings.bootstrap)


def labels_of(rows: Predictions) -> NDArray[np.int64]:
    """(N,) index of each row's label."""
    return np.array([rows.label_names.index(label) for label in rows.labels], dtype=np.int64)


def patients_of(rows: Predictions) -> NDArray[np.int64]:
    """(N,) number of each row's patient."""
    return patient_index(rows.patient_ids, len(rows.patient_ids))


def _of_two_labels(rows: Predictions, thresholds: Mapping[int, float], settings: Settings) -> dict[str, Estimate]:
    labels, scores, index = labels_of(rows), rows.probabilities[:, 1], patients_of(rows)
    bootstrap = settings.bootstrap
    return {
        "auc": auc(rows, settings=settings),
        "average_precision": average_precision(labels, scores, patients=index, **bootstrap),
        "partial_auc": partial_auc(labels, scores, patients=index, **settings.partial_auc, **bootstrap),
        **figures_at(rows, thresholds=thresholds, settings=settings),
        "brier": brier(labels, rows.probabilities, patients=index, **bootstrap),
        "brier_scaled": brier_scaled(labels, rows.probabilities, patients=index, **bootstrap),
        **calibration(labels, scores, level=settings.level, patients=index),
        "ece": ece(labels, rows.probabilities, patients=index, **bootstrap),
        "ici": ici(labels, scores, patients=index, **bootstrap),
        "hosmer_lemeshow": hosmer_lemeshow(labels, scores, patients=index),
    }


def _of_many_labels(rows: Predictions, settings: Settings) -> dict[str, Estimate]:
    labels, index, bootstrap = labels_of(rows), patients_of(rows), settings.bootstrap
    of_labels: dict[str, Estimate] = {}
    for k, name in enumerate(rows.label_names):
        labels01, scores = (labels == k).astype(np.int64), rows.probabilities[:, k]
        partial = partial_auc(labels01, scores, patients=index, **settings.partial_auc, **bootstrap)
        of_labels[f"auc_{name}"] = delong(labels01, scores, level=settings.level, patients=index)
        of_labels[f"partial_auc_{name}"] = partial
        of_labels[f"ici_{name}"] = ici(labels01, scores, patients=index, **bootstrap)
        recalibration = calibration(labels01, scores, level=settings.level, patients=index)
        of_labels |= {f"{figure}_{name}": estimate for figure, estimate in recalibration.items()}
    return {
        "auc": auc(rows, settings=settings),
        "average_precision": macro_average_precision(labels, rows.probabilities, patients=index, **bootstrap),
        **class_figures(labels, rows.probabilities, rows.label_names, patients=index, **bootstrap),
        "brier": brier(labels, rows.probabilities, patients=index, **bootstrap),
        "brier_scaled": brier_scaled(labels, rows.probabilities, patients=index, **bootstrap),
        "ece": ece(labels, rows.probabilities, patients=index, **bootstrap),
        **of_labels,
    }
