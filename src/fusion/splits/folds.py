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
        split: ``name`` (an option of ``conf/split``), ``validation_fraction`` in (0, 1), and what the name needs.
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
        learning = {"train": outer - inner, "validation": inner}
        # A center that is left out is scored as it is, also where it has patients of one label only.
        scored = {} if split["name"] == "leave_one_center_out" else {"test": test}
        _require_labels(cohort, learning | scored, f"fold {number}")
        folds.append(Fold(number=number, seed=seed, train=outer - inner, validation=inner, test=test))
    return tuple(folds)


def make_inner_folds(cohort: Cohort, fold: Fold, *, split: Mapping[str, Any]) -> tuple[Fold, ...]:
    """Cross-validation within a fold's training patients (the inner part included), which scores each of them once.

    Every inner fold holds a validation part of its own for early stopping, so that what is chosen on the inner
    test parts (settings, calibration, thresholds) is chosen on predictions that nothing was fitted to. The fold's
    test patients are in none of them.

    Args:
        cohort: That the fold divides.
        fold: The outer one.
        split: ``n_inner_folds``, from 2, and ``validation_fraction``.

    Raises:
        FusionError: If a part lacks a label.
    """
    rng = np.random.default_rng([fold.seed, fold.number])
    outer = fold.train | fold.validation
    folds = []
    for number, test in enumerate(deal(spread_order(cohort, sorted(outer), rng), split["n_inner_folds"])):
        learning = outer - test
        inner = draw_fraction(spread_order(cohort, sorted(learning), rng), split["validation_fraction"], rng)
        parts = {"train": learning - inner, "validation": inner, "test": test}
        _require_labels(cohort, parts, f"inner fold {number} of fold {fold.number}")
        folds.append(Fold(number=number, seed=fold.seed, **parts))
    return tuple(folds)


def every_fold(
    cohort: Cohort, folds: Sequence[Fold], *, split: Mapping[str, Any], shares: Sequence[float]
) -> tuple[Fold, ...]:
    """The folds and all that are within them: whatever a run will fit, known before anything is fitted.

    Args:
        cohort, folds: The cohort, divided.
        split: As for ``make_folds``.
        shares: Of the learning curve.

    Raises:
        FusionError: If a part of one of them lacks a label.
    """
    smaller = [shrink_fold(cohort, fold, share) for fold in folds for share in shares]
    if split["n_inner_folds"] == 1:
        return (*folds, *smaller)
    inner = [each for fold in folds for each in make_inner_folds(cohort, fold, split=split)]
    return (*folds, *smaller, *inner)


def shrink_fold(cohort: Cohort, fold: Fold, share: float) -> Fold:
    """The fold with a share of its training and inner patients, spread evenly over labels and centers.

    Args:
        cohort: That the fold divides.
        fold: Its test part stays whole.
        share: In (0, 1).

    Raises:
        FusionError: If a part is left without a label.
    """
    # A smaller share's patients are not those of a larger one: the points of a learning curve are other draws.
    rng = np.random.default_rng([fold.seed, fold.number, round(share * 1e6)])
    parts = {
        name: draw_fraction(spread_order(cohort, sorted(part), rng), share, rng)
        for name, part in (("train", fold.train), ("validation", fold.validation))
    }
    _require_labels(cohort, parts, f"{share:.0%} of the training patients of fold {fold.number}")
    return Fold(number=fold.number, seed=fold.seed, test=fold.test, **parts)


def count_labels(cohort: Cohort, folds: Sequence[Fold]) -> dict[str, int]:
    """Patients by label, in the cohort's order, of the fold with the fewest training patients (inner part included)."""
    smallest = min((fold.train | fold.validation for fold in folds), key=len)
    labels = [cohort.patients[patient_id][0].label for patient_id in smallest]
    return {name: labels.count(name) for name in cohort.label_names}


def _holdout(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:
    everyone = frozenset(cohort.patients)
    tests = [
        draw_fraction(spread_order(cohort, sorted(everyone), rng), split["test_fraction"], rng)
        for _ in range(split["n_divisions"])
    ]
    return [(everyone - test, None, test) for test in tests]


def _kfold(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:
    everyone = frozenset(cohort.patients)
    return [
        (everyone - test, None, test) for test in deal(spread_order(cohort, sorted(everyone), rng), split["n_folds"])
    ]


def _repeated_kfold(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:
    return [division for _ in range(split["n_repeats"]) for division in _kfold(cohort, split, rng)]


def _leave_one_center_out(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:  # noqa: ARG001 -- one signature for all splits
    by_center = _group(cohort, {patient_id: cases[0].center for patient_id, cases in cohort.patients.items()})
    if len(by_center) < 2:
        raise FusionError(
            f"split=leave_one_center_out: required two or more centers in cohort {cohort.name!r}, came "
            f"{sorted(by_center)}; name the column of the centers in cohort.center, or use split=kfold"
        )
    everyone = frozenset(cohort.patients)
    return [(everyone - by_center[center], None, by_center[center]) for center in sorted(by_center, key=_natural)]


def _center(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:  # noqa: ARG001 -- one signature for all splits
    by_center = _group(cohort, {patient_id: cases[0].center for patient_id, cases in cohort.patients.items()})
    asked = [str(center) for center in (*split["train"], *split["test"])]
    if not set(asked) <= set(by_center) or len(set(asked)) < len(asked):
        raise FusionError(
            f"split=center: required centers of cohort {cohort.name!r} in split.train and split.test, none twice, "
            f"came train={list(split['train'])} test={list(split['test'])}; the cohort has {sorted(by_center)}"
        )
    train, test = (frozenset().union(*(by_center[str(center)] for center in split[part])) for part in ("train", "test"))
    return [(train, None, test)]


def _column(cohort: Cohort, split: Mapping[str, Any], rng: np.random.Generator) -> list[Division]:  # noqa: ARG001 -- one signature for all splits
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
    # A file of one's own, or of an older run, may lack what has been added since.
    if split["name"] == "holdout" and "n_divisions" not in split:
        raise FusionError(
            "split.n_divisions: required a whole number from 1, came none; add `n_divisions: 1` to the split's file, "
            "or to `split` in config.yaml of a run that is gone on with"
        )
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


def _require_labels(cohort: Cohort, parts: Mapping[str, frozenset[str]], where: str) -> None:
    for part, patients in parts.items():
        labels = [cohort.patients[patient_id][0].label for patient_id in patients]
        lacking = [name for name in cohort.label_names if name not in labels]
        if lacking:
            raise FusionError(
                f"{where}: required every label in every part, came no {lacking} among the {len(labels)} "
                f"patients of {part}; use fewer folds, a larger split.validation_fraction or other centers (a center "
                "with one label can be tested by split=leave_one_center_out only, and can train beside others)"
            )


_DIVISIONS: dict[str, Callable[[Cohort, Mapping[str, Any], np.random.Generator], Sequence[Division]]] = {
    "holdout": _holdout,
    "kfold": _kfold,
    "repeated_kfold": _repeated_kfold,
    # Its outer folds are those of a k-fold; what is nested is the tuning within them.
    "nested": _kfold,
    "center": _center,
    "leave_one_center_out": _leave_one_center_out,
    "column": _column,
}
_REQUIRED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": (f"one of {', '.join(_DIVISIONS)}", lambda value: value in _DIVISIONS),
    "validation_fraction": ("a number between 0 and 1", _is_fraction),
    "test_fraction": ("a number between 0 and 1", _is_fraction),
    "n_folds": ("a whole number from 2", lambda value: isinstance(value, int) and value >= 2),
    "n_repeats": ("a whole number from 2", lambda value: isinstance(value, int) and value >= 2),
    "n_divisions": ("a whole number from 1", lambda value: isinstance(value, int) and value >= 1),
    "n_inner_folds": ("a whole number from 1", lambda value: isinstance(value, int) and value >= 1),
    "train": ("a list of centers, e.g. [a,b]", _is_list),
    "test": ("a list of centers, e.g. [a,b]", _is_list),
}
