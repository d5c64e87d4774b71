"""Cohort → Folds. Patients are divided, never images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fusion.errors import FusionError
from fusion.records import PARTS, Cohort, Fold
from fusion.splits.draw import deal, draw_fraction, spread_order

# Of one fold: training patients (inner part included), the inner part or None, test patients.
Division = tuple[frozenset[str], frozenset[str] | None, frozenset[str]]


def make_folds(cohort: Cohort, *, split: Mapping[str, Any], seed: int) -> tuple[Fold, ...]:
    """Divide a cohort's patients as ``conf/split/<name>.yaml`` says.

    The inner (validation) part is drawn from the training patients of each fold, unless a given column names it.

    Args:
        cohort: With a label for every case.
        split: ``name`` (holdout, kfold, center, column), ``validation_fraction`` in (0, 1), and what the name needs.
        seed: Of the draw. The same cohort and seed give the same folds, whatever the order of the table.

    Raises:
        FusionError: If the cohort cannot be divided so, or a part lacks a label.
    """
    rng = np.random.default_rng(seed)
    folds = []
    for number, (outer, inner, test) in enumerate(_DIVISIONS[split["name"]](cohort, split, rng)):
        if inner is None:
            inner = draw_fraction(spread_order(cohort, sorted(outer), rng), split["validation_fraction"], rng)
        _require_labels(cohort, {"train": outer - inner, "validation": inner, "test": test}, number)
        folds.append(Fold(number=number, seed=seed, train=outer - inner, validation=inner, test=test))
    return tuple(folds)


def _holdout(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:
    everyone = frozenset(cohort.patients)
    test = draw_fraction(spread_order(cohort, sorted(everyone), rng), split["test_fraction"], rng)
    return [(everyone - test, None, test)]


def _kfold(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:
    everyone = frozenset(cohort.patients)
    return [
        (everyone - test, None, test) for test in deal(spread_order(cohort, sorted(everyone), rng), split["n_folds"])
    ]


def _center(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:  # noqa: ARG001
    by_center = _group(cohort, {patient_id: cases[0].center for patient_id, cases in cohort.patients.items()})
    asked = [str(center) for center in (*split["train"], *split["test"])]
    unknown = sorted(set(asked) - set(by_center))
    if unknown or len(set(asked)) < len(asked) or not split["train"] or not split["test"]:
        raise FusionError(
            f"split=center: required centers of cohort {cohort.name!r} in split.train and split.test, none twice, "
            f"came train={list(split['train'])} test={list(split['test'])}; the cohort has {sorted(by_center)}"
        )
    train, test = (frozenset().union(*(by_center[str(center)] for center in split[part])) for part in ("train", "test"))
    return [(train, None, test)]


def _column(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:  # noqa: ARG001
    values = {patient_id: cases[0].fold for patient_id, cases in cohort.patients.items()}
    given = {patient_id: value for patient_id, value in values.items() if value is not None}
    if len(given) < len(values):
        raise FusionError(
            f"split=column: required a fold for every patient of cohort {cohort.name!r}, came none for "
            f"{len(values) - len(given)} of {len(values)}; name the table's column in cohort.fold"
        )
    groups = _group(cohort, given)
    if set(groups) <= set(PARTS):
        parts = {part: groups.get(part, frozenset()) for part in PARTS}
        return [(parts["train"] | parts["validation"], parts["validation"] or None, parts["test"])]
    # Numeric fold names in numeric order: 10 after 9.
    names = sorted(
        groups, key=lambda name: (float(name), name) if name.replace(".", "", 1).isdigit() else (np.inf, name)
    )
    everyone = frozenset(values)
    return [(everyone - groups[name], None, groups[name]) for name in names]


def _group(cohort: Cohort, values: Mapping[str, str]) -> dict[str, frozenset[str]]:
    names = set(values.values())
    return {name: frozenset(patient for patient in cohort.patients if values.get(patient) == name) for name in names}


def _require_labels(cohort: Cohort, parts: Mapping[str, frozenset[str]], number: int) -> None:
    for part, patients in parts.items():
        labels = [cohort.patients[patient_id][0].label for patient_id in patients]
        lacking = [name for name in cohort.label_names if name not in labels]
        if lacking:
            raise FusionError(
                f"fold {number}: required every label in every part, came no {lacking} among the {len(labels)} "
                f"patients of {part}; use fewer folds, a larger split.validation_fraction or other centers"
            )


_DIVISIONS: dict[str, Callable[[Cohort, Mapping[str, Any], np.random.Generator], Sequence[Division]]] = {
    "holdout": _holdout,
    "kfold": _kfold,
    "center": _center,
    "column": _column,
}
