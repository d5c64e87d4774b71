"""Apply a run's fitted models to a cohort that may lack columns, branches or outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError, Problem
from fusion.imaging.store import Crops
from fusion.records import Case, ClinicalColumn, Cohort, FeatureTable, Predictions
from fusion.runs.folder import RunFolder
from fusion.runs.tables import concatenate
from fusion.tabular.clinical import ColumnEncoder
from fusion.training.model import Model
from fusion.training.outputs import write_branches


def align_cohort(cohort: Cohort, model: Model) -> Cohort:
    """The cohort with the model's label names; where the cohort's outcome is another one, labels are unknown.

    Raises:
        InputError: If a clinical column has another kind than in training, or an ordered one other levels: its values
            would be misread.
    """
    columns = {column.name: column for column in cohort.clinical_columns}
    problems = [
        Problem(
            where=f"cohort {cohort.name}, clinical column {column.name!r}",
            required=f"{_describe(column)}, as in training",
            came=_describe(columns[column.name]),
        )
        for column in model.clinical_columns
        if column.name in columns and _describe(columns[column.name]) != _describe(column)
    ]
    if problems:
        advice = "Describe the columns as the training cohort's mapping does, or leave them out."
        raise InputError("the clinical columns do not fit the model", problems, advice)
    if set(cohort.label_names) == set(model.label_names):
        return replace(cohort, label_names=model.label_names)
    cases = tuple(replace(case, label=None) for case in cohort.cases)
    return replace(cohort, label_names=model.label_names, cases=cases)


def score_folds(
    models: Sequence[Model],
    cases: Sequence[Case],
    *,
    crops: Crops,
    features: FeatureTable,
    out_dir: Path,
    accelerator: str,
) -> Predictions:
    """Score the cases with every model, and write the models' gates and branches' opinions into ``branches.csv``.

    Returns:
        A row per case and model, all in the test part.

    Raises:
        FusionError: If a case has none of the branches.
    """
    parts, tables = [], []
    for model in models:
        scores = model.score_cases(cases, crops=crops, features=features, accelerator=accelerator)
        parts.append(model.predictions(cases, scores, fold=None))
        tables.append(out_dir / f".branches_{model.fold}.csv")
        write_branches(tables[-1], model, cases, scores, parts[-1].parts)
    concatenate(tables, out_dir / "branches.csv")
    for table in tables:
        table.unlink()
    return Predictions.concatenate(parts)


def missing_inputs(models: Sequence[Model], cohort: Cohort, *, crops: Crops, features: FeatureTable) -> dict[str, Any]:
    """What the cohort lacks of what the models were trained with.

    Returns:
        ``columns``: of the clinical columns of training ``absent``, names of those that the cohort does not have, and
        ``missing``, by name of the others the cases without a value; ``branches``: by branch, the cases that are scored
        without it by some model, or by all; ``n_cases``: in all.
    """
    trained = dict.fromkeys(column.name for model in models for column in model.clinical_columns)
    shared = [name for name in trained if name in {column.name for column in cohort.clinical_columns}]
    absent: dict[str, NDArray[np.bool_]] = {}
    # A fold without a branch among its training patients has a model without it; another fold's may have it.
    for model in models:
        for name, present in model.presence(cohort.cases, crops=crops, features=features).items():
            absent[name] = absent.get(name, ~present) | ~present
    return {
        "n_cases": len(cohort.cases),
        "columns": {
            "absent": sorted(name for name in trained if name not in shared),
            "missing": {name: sum(case.clinical.get(name) is None for case in cohort.cases) for name in shared},
        },
        "branches": {name: int(rows.sum()) for name, rows in absent.items()},
    }


def outcome_note(cohort: Cohort, model: Model) -> list[str]:
    """That the cohort's outcome is not the model's, where it has one: then there is nothing to evaluate."""
    if set(cohort.label_names) == set(model.label_names) or all(case.label is None for case in cohort.cases):
        return []
    ours, theirs = ", ".join(model.label_names), ", ".join(cohort.label_names)
    return [f"the model tells {ours} apart, the cohort's outcome is {theirs}: patients are scored and not evaluated"]


def seen_in_training(run: RunFolder, cohort: Cohort) -> int:
    """Patients that bear the id of one of the run's training or validation patients."""
    trained = {patient for patient, parts in run.read_parts().items() if any(part != "test" for part in parts.values())}
    return len(trained & set(cohort.patients)) if run.config["cohort"]["name"] == cohort.name else 0


def mean_thresholds(models: Sequence[Model]) -> dict[str, float]:
    """The mean of the models' frozen thresholds of each operating point, for their averaged probability."""
    return {name: float(np.mean([model.thresholds[name] for model in models])) for name in models[0].thresholds}


def _describe(column: ClinicalColumn | ColumnEncoder) -> str:
    levels = f" with the levels {', '.join(column.levels)}" if column.kind == "ordered" else ""
    return f"the kind {column.kind!r}{levels}"
