"""The same figures for men and women, the young and the old: by any clinical column."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fusion.errors import FusionError
from fusion.evaluation.estimate import Estimate
from fusion.records import UNLABELED, ClinicalColumn, Cohort, Predictions, Value

MISSING = "missing"
_YES_NO = ("no", "yes")
# Significant digits that tell any two float64 apart.
_MOST_DIGITS = 17


def subgroup_levels(
    cohort: Cohort, columns: Sequence[str] | None, bins: int, *, patients: Collection[str]
) -> dict[str, dict[str, str]]:
    """The level of each patient in each clinical column.

    A number is divided into bands of about equally many patients (``< 47 years``, ``47 to < 61 years``,
    ``>= 61 years``); their limits are quantiles of the evaluated patients themselves, so they describe, and another
    cohort has others. Yes/no is ``yes`` or ``no``; a category or an ordered column keeps its levels; every element of
    a set becomes a column of its own, ``signs=halo``, with ``yes`` and ``no``. A patient without a value has the level
    ``missing``. A patient with several cases has the value of the first that has one.

    Args:
        cohort: Holds the patients.
        columns: Names of clinical columns; None for all of them.
        bins: Bands of a number, 2 or more; fewer come where values repeat.
        patients: Those that are evaluated.

    Returns:
        Column → patient → level, the patients in the order of their levels: low to high, or by name, missing ones
        last. A patient of ``patients`` whom the cohort does not know is left out.

    Raises:
        FusionError: For columns that the cohort does not have.
    """
    asked = frozenset(patients)
    evaluated = [patient_id for patient_id in cohort.patients if patient_id in asked]
    result: dict[str, dict[str, str]] = {}
    for column in subgroup_columns(cohort, columns):
        values = {patient_id: _value(cohort, patient_id, column.name) for patient_id in evaluated}
        result |= _column_levels(column, values, bins)
    return result


def subgroup_columns(cohort: Cohort, columns: Sequence[str] | None) -> list[ClinicalColumn]:
    """The clinical columns of these names; None for all of them.

    Raises:
        FusionError: For columns that the cohort does not have.
    """
    by_name = {column.name: column for column in cohort.clinical_columns}
    names = list(by_name) if columns is None else list(columns)
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise FusionError(
            f"evaluation.subgroups.columns: required clinical columns of the cohort ({', '.join(by_name) or 'none'}), "
            f"came {', '.join(unknown)}; mend the names, or give null for every clinical column"
        )
    return [by_name[name] for name in names]


def evaluate_subgroups(
    test: Predictions,
    levels: Mapping[str, Mapping[str, str]],
    *,
    figures: Callable[[Predictions], dict[str, Estimate]],
    min_patients: int,
    min_per_label: int,
) -> dict[str, list[dict[str, Any]]]:
    """Every figure in every level of every column.

    Two levels whose intervals do not overlap differ, but overlapping ones may differ as well, and among many columns
    some levels differ by chance: a claim that the model does better in one than in the other needs a test of its own
    (an interaction), planned before and corrected for the number of columns.

    Args:
        test: Scored rows; rows without a label are left out. A patient may have several.
        levels: Column → patient → level, as ``subgroup_levels`` gives them, of every patient in ``test``.
        figures: Gives the figures of some of the rows.
        min_patients: Below that many patients a level has no figures.
        min_per_label: Nor below that many patients of any label.

    Returns:
        Column → one entry per level, in the order in which the levels first come: ``{"level", "n", "n_positive",
        "figures", "note"}``; ``n`` and ``n_positive`` (of the last label) are patients, and of ``figures`` (name →
        estimate as JSON) and ``note`` (why there are none) one is None.

    Raises:
        ValueError: If a patient of ``test`` has no level.
    """
    labeled = test.select(label != UNLABELED for label in test.labels)
    result: dict[str, list[dict[str, Any]]] = {}
    for column, level_of in levels.items():
        without = sorted(set(labeled.patient_ids) - set(level_of))
        if without:
            raise ValueError(f"subgroups of {column!r}: required a level of every patient, none came of {without[:5]}")
        result[column] = [
            _entry(
                level,
                labeled.select(level_of[patient_id] == level for patient_id in labeled.patient_ids),
                figures=figures,
                min_patients=min_patients,
                min_per_label=min_per_label,
            )
            for level in dict.fromkeys(level_of.values())
        ]
    return result


def _entry(
    level: str,
    rows: Predictions,
    *,
    figures: Callable[[Predictions], dict[str, Estimate]],
    min_patients: int,
    min_per_label: int,
) -> dict[str, Any]:
    label_of = dict(zip(rows.patient_ids, rows.labels, strict=True))
    counts = {name: sum(label == name for label in label_of.values()) for name in rows.label_names}
    enough = len(label_of) >= min_patients and min(counts.values()) >= min_per_label
    positive = rows.label_names[-1]
    shown = (positive,) if len(counts) == 2 else rows.label_names
    came = ", ".join((f"{len(label_of)} patients", *(f"{counts[name]} {name}" for name in shown)))
    return {
        "level": level,
        "n": len(label_of),
        "n_positive": counts[positive],
        "figures": {name: estimate.as_json() for name, estimate in figures(rows).items()} if enough else None,
        "note": None if enough else f"too few: {came} (required {min_patients} and {min_per_label} of each label)",
    }


def _value(cohort: Cohort, patient_id: str, column: str) -> Value:
    known = (case.clinical.get(column) for case in cohort.patients[patient_id])
    return next((value for value in known if value is not None), None)


def _column_levels(column: ClinicalColumn, values: Mapping[str, Value], bins: int) -> dict[str, dict[str, str]]:
    known: dict[str, Any] = {patient_id: value for patient_id, value in values.items() if value is not None}
    if column.kind == "set":
        elements = sorted(frozenset().union(*known.values()))
        return {
            f"{column.name}={element}": _in_order(
                values, {patient_id: _YES_NO[element in value] for patient_id, value in known.items()}, _YES_NO
            )
            for element in elements
        }
    if column.kind == "number":
        bands, order = _bands(known, bins=bins, unit=column.unit)
        return {column.name: _in_order(values, bands, order)}
    if column.kind == "yes_no":
        known = {patient_id: _YES_NO[value == 1] for patient_id, value in known.items()}
    order = {"yes_no": _YES_NO, "ordered": column.levels}.get(column.kind) or tuple(sorted(set(known.values())))
    return {column.name: _in_order(values, known, order)}


def _in_order(values: Mapping[str, Value], known: Mapping[str, str], order: Sequence[str]) -> dict[str, str]:
    rank = {level: number for number, level in enumerate((*order, MISSING))}
    level_of = {patient_id: known.get(patient_id, MISSING) for patient_id in values}
    return dict(sorted(level_of.items(), key=lambda item: rank[item[1]]))


def _bands(values: Mapping[str, float], *, bins: int, unit: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """Patient → band, and the bands from low to high."""
    if not values:
        return {}, ()
    numbers = list(values.values())
    distinct = sorted(set(numbers))
    quantiles = np.quantile(numbers, np.linspace(0, 1, bins + 1)[1:-1], method="higher").tolist()
    # Where a band begins in the sorted values; the lowest begins one anyway, also where it is most of them.
    starts = sorted({max(1, distinct.index(quantile)) for quantile in quantiles}) if len(distinct) > 1 else []
    cuts = [_shortest_between(distinct[start - 1], distinct[start]) for start in starts]
    names = _band_names(cuts, distinct[0], unit)
    bands = {patient_id: names[bisect_right(cuts, value)] for patient_id, value in values.items()}
    return bands, names


def _band_names(cuts: Sequence[float], only_value: float, unit: str | None) -> tuple[str, ...]:
    suffix = f" {unit}" if unit else ""
    if not cuts:
        return (f"{_text(only_value)}{suffix}",)
    texts = [_text(cut) for cut in cuts]
    middle = [f"{low} to < {high}{suffix}" for low, high in pairwise(texts)]
    return (f"< {texts[0]}{suffix}", *middle, f">= {texts[-1]}{suffix}")


def _text(number: float) -> str:
    return f"{number:.15g}"


def _shortest_between(low: float, high: float) -> float:
    """The number with the fewest digits above ``low`` and up to ``high``, so that the name of a band is its limit."""
    candidates = (float(f"{high:.{digits}g}") for digits in range(1, _MOST_DIGITS + 1))
    return next(candidate for candidate in candidates if low < candidate <= high)
