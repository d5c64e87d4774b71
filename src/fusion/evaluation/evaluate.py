"""Predictions → metrics.json. Nothing is chosen or fitted on the rows that are scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusion.evaluation.centers import between_centers
from fusion.evaluation.curves import curves
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.figures import auc, figures, figures_at, fold_mean, group_figures
from fusion.evaluation.pooling import pool_cases
from fusion.evaluation.readers import evaluate_reader
from fusion.evaluation.settings import Settings
from fusion.evaluation.subgroups import evaluate_subgroups, subgroup_levels
from fusion.records import UNLABELED, Cohort, Predictions

Thresholds = Mapping[str, Mapping[int, float]]
Metrics = dict[str, dict[str, float | int | None]]


def evaluate(
    patients: Predictions, cases: Predictions, *, thresholds: Thresholds, settings: Settings
) -> dict[str, Any]:
    """Every figure that predictions alone give, each with its interval and its number of patients.

    Intervals know which rows belong to one patient, so neither several images nor several folds of a patient narrow
    them. Rows without a label are left out, and so is a part without rows.

    Args:
        patients: A row per patient and fold.
        cases: A row per case (image) and fold.
        thresholds: Operating point → fold number → threshold, frozen before the test part was looked at; each row is
            judged by its own fold's. Not used with more than two labels.
        settings: Of the evaluation.

    Returns:
        ``{"test": {metric: {"value", "ci_low", "ci_high", "n"}}, "train": …, "validation": …,
        "centers": {name: …}, "test_cases": …, "operating_points": …, "curves": …, "between_centers": …}``. Where the
        test part spans several folds, ``auc`` is pooled over them and ``auc_fold_mean`` stands beside it.
        What the data do not define is None.

    Raises:
        ValueError: If a fold has no threshold.
    """
    primary = thresholds.get(settings.threshold, {})

    def plain(rows: Predictions) -> Metrics:
        return _plain(figures(rows, thresholds=primary, settings=settings))

    parts = {part: of_part(patients, part) for part in ("test", "train", "validation")}
    result: dict[str, Any] = {part: plain(rows) for part, rows in parts.items() if rows.patient_ids}
    test, test_cases = parts["test"], of_part(cases, "test")
    if not test.patient_ids:
        return result
    result["test"] |= _plain(fold_mean(test, settings=settings))
    result["centers"] = {
        center: plain(test.select(other == center for other in test.centers)) for center in sorted(set(test.centers))
    }
    result["test_cases"] = plain(test_cases) | _plain(fold_mean(test_cases, settings=settings))
    result["operating_points"] = {
        name: {
            "rule": dict(settings.operating_points[name]),
            "thresholds": {str(fold): threshold for fold, threshold in sorted(of_folds.items())},
            "figures": _plain(figures_at(test, thresholds=of_folds, settings=settings)),
        }
        for name, of_folds in thresholds.items()
    }
    result["curves"] = curves(test, settings=settings)
    summary = between_centers(test, min_per_label=settings.min_per_label, **settings.bootstrap)
    result["between_centers"] = summary.as_json()
    return result


def evaluate_in_cohort(
    patients: Predictions,
    inner: Predictions,
    *,
    cohort: Cohort,
    thresholds: Thresholds,
    reader_is_input: bool,
    settings: Settings,
) -> dict[str, Any]:
    """The figures that also need what the cohort's table says of the patients: subgroups, and the reader.

    Args:
        patients: A row per patient and fold.
        inner: Predictions of training patients, a row per patient and fold, that the models were not fitted to.
        cohort: That they are from.
        thresholds: As for ``evaluate``.
        reader_is_input: Whether the model has the reader's score.
        settings: Of the evaluation.

    Returns:
        ``{"subgroups": …, "readers": …}``; without ``readers`` where there is no reader, or more than two labels.
    """
    test = of_part(patients, "test")
    primary = thresholds.get(settings.threshold, {})
    levels = subgroup_levels(
        cohort, settings.subgroups["columns"], settings.subgroups["bins"], patients=set(test.patient_ids)
    )

    def of_subgroup(rows: Predictions) -> dict[str, Estimate]:
        return group_figures(rows, thresholds=primary, settings=settings)

    enough = {"min_patients": settings.min_patients, "min_per_label": settings.min_per_label}
    result: dict[str, Any] = {"subgroups": evaluate_subgroups(test, levels, figures=of_subgroup, **enough)}
    reader = evaluate_reader(
        cohort,
        test,
        inner,
        thresholds=primary,
        is_input=reader_is_input,
        prevalence=settings.prevalence,
        **settings.bootstrap,
    )
    return result | ({} if reader is None else {"readers": reader})


def evaluate_auc(patients: Predictions, *, settings: Settings) -> Metrics:
    """The AUC alone, on the test part (higher is better); empty where it has no patient."""
    test = of_part(patients, "test")
    return _plain({"auc": auc(test, settings=settings)}) if test.patient_ids else {}


def learning_point(cases: Predictions, *, settings: Settings) -> dict[str, Any]:
    """A point of the learning curve, of the models of one share of the training patients.

    Args:
        cases: Case-level predictions of these models, of all their patients.
        settings: Of the evaluation.

    Returns:
        ``{"n_train": mean number of training patients (inner part included), "auc": estimate of the test part}``.
    """
    patients = pool_cases(cases)
    trained = [part != "test" for part in patients.parts]
    return {"n_train": sum(trained) / len(set(patients.folds)), **evaluate_auc(patients, settings=settings)}


def inner_score(patients: Predictions, *, settings: Settings) -> float:
    """What settings are chosen by: the AUC of inner predictions, higher is better."""
    return auc(of_part(patients, "validation"), settings=settings).value


def of_part(predictions: Predictions, part: str) -> Predictions:
    """The labeled rows of a part."""
    rows = zip(predictions.parts, predictions.labels, strict=True)
    return predictions.select(other == part and label != UNLABELED for other, label in rows)


def _plain(estimates: Mapping[str, Estimate]) -> Metrics:
    return {name: estimate.as_json() for name, estimate in estimates.items()}
