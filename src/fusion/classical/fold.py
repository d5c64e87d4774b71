"""A classical model on a fold: fitted on its training patients, saying something of all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from fusion.classical.fit import Fitting, fit_classical, groups_of, whole_training
from fusion.classical.rows import Sources
from fusion.classical.tables import selection_tables
from fusion.imaging.store import Crops
from fusion.radiomics.stability import COLUMNS, Stability, measure_stability
from fusion.records import Cohort, FeatureTable, Fold
from fusion.training.model import Table
from fusion.training.tuning import FoldFit


def fit_classical_fold(
    cohort: Cohort,
    fold: Fold,
    *,
    outer: Fold,
    crops: Crops,
    features: FeatureTable,
    config: Mapping[str, Any],
    title: str,
    is_own: bool,
) -> FoldFit:
    """Fit on a fold's training and validation patients, and score all of its patients.

    Args:
        cohort: With a label for every case.
        fold: The outer fold itself, one of its inner folds, or one with fewer training patients.
        outer: Whose training patients' division makes scores out of fold, here and in every inner fold.
        crops, features: Of the whole cohort; only rows of training patients are fitted on.
        config: The resolved configuration.
        title: Of progress lines.
        is_own: Whether it is the outer fold's own fit, which leaves tables.
    """

    def measure(patients: Collection[str]) -> Stability | None:
        extracted = {*features.case_ids}
        return measure_stability(
            [case for case in cohort.cases if case.patient_id in patients and case.case_id in extracted],
            radiomics=config["radiomics"],
            stability=config["stability"],
            cache_dir=Path(config["cache_dir"]),
        )

    def stable(patients: Collection[str]) -> Collection[str] | None:
        measured = measure(patients)
        return measured.features if measured else None

    fold, accelerator = whole_training(fold), config["trainer"]["accelerator"]
    fitting = Fitting(
        cohort=cohort,
        sources=Sources(crops=crops, features=features, accelerator=accelerator),
        stable=stable,
        config=config,
        number=outer.number,
        is_own=is_own,
        title=title,
    )
    fitted = fit_classical(fitting, fold, groups_of(cohort, outer, config))
    tables: dict[str, Table] = {}
    if is_own:
        tables |= selection_tables(fitted)
        if measured := measure(fold.train):
            tables["stability.csv"] = (("fold", *COLUMNS), [(outer.number, *row) for row in measured.rows()])
    cases = tuple(case for case in cohort.cases if fold.part_of(case.patient_id))
    scores = fitted.model.score_cases(cases, crops=crops, features=features, accelerator=accelerator)
    predictions = fitted.model.predictions(cases, scores, fold=fold)
    return FoldFit(model=fitted.model, cases=cases, scores=scores, predictions=predictions, tables=tables)
