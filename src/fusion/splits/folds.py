"""Cohort → Folds. Patients are divided, never images."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fusion.errors import FusionError, InputError, Problem
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
    _require_settings(split)
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
    if not set(asked) <= set(by_center) or len(set(asked)) < len(asked):
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
    words = _group(cohort, {patient_id: value.casefold() for patient_id, value in given.items()})
    if words.keys() & set(PARTS):
        return [_given_parts(words)]
    groups, everyone = _group(cohort, given), frozenset(values)
    return [(everyone - groups[name], None, groups[name]) for name in sorted(groups, key=_natural)]


def _given_parts(words: Mapping[str, frozenset[str]]) -> Division:
    # Of `train`, `val` and `test`, a cross-validation over three folds would be made in silence.
    if not words.keys() <= set(PARTS):
        raise FusionError(
            f"split=column: required fold names, or the words {', '.join(PARTS)} and no others, came "
            f"{', '.join(sorted(words))}"
        )
    train, validation, test = (words.get(part, frozenset()) for part in PARTS)
    return train | validation, validation or None, test


def _natural(name: str) -> list[str | int]:
    """Numbers in numeric order: 10 after 9, and fold10 after fold9."""
    return [int(piece) if i % 2 else piece for i, piece in enumerate(re.split(r"(\d+)", name))]


def _group(cohort: Cohort, values: Mapping[str, str]) -> dict[str, frozenset[str]]:
    names = set(values.values())
    return {name: frozenset(patient for patient in cohort.patients if values.get(patient) == name) for name in names}


def _require_settings(split: Mapping[str, Any]) -> None:
    problems = [
        Problem(where=f"split.{key}", required=required, came=repr(split[key]))
        for key, (required, holds) in _REQUIRED.items()
        if key in split and not holds(split[key])
    ]
    if problems:
        raise InputError("The split", problems, "See conf/split.")


def _is_fraction(value: object) -> bool:
    return isinstance(value, float) and 0 < value < 1


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0


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
_REQUIRED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": (f"one of {', '.join(_DIVISIONS)}", lambda value: value in _DIVISIONS),
    "validation_fraction": ("a number between 0 and 1", _is_fraction),
    "test_fraction": ("a number between 0 and 1", _is_fraction),
    "n_folds": ("a whole number from 2", lambda value: isinstance(value, int) and value >= 2),
    "train": ("a list of centers, e.g. [a,b]", _is_list),
    "test": ("a list of centers, e.g. [a,b]", _is_list),
}
