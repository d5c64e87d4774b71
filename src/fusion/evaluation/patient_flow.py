"""From the rows of the table to the patients of each part: what a flow diagram is drawn from. No row of a patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fusion.cohorts.mapping import TableMapping, read_mapping
from fusion.cohorts.sheet import Row
from fusion.cohorts.table import joined_sheet
from fusion.cohorts.values import normalized
from fusion.records import PARTS, Case, Cohort, FeatureTable, Fold


def patient_flow(
    cohort: Cohort, folds: Sequence[Fold], features: FeatureTable, *, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Counts of rows, cases and patients at every step that a run knows of.

    How many patients were screened before the table was made is in none of its files, and not in here.

    Args:
        cohort: As it was read: rows that ``cohort.exclude`` names are not in it, all others are.
        folds: All of the run.
        features: Of the radiomics branch; without any case where the run has no such branch.
        config: The plain ``cohort`` config with its ``root``.

    Returns:
        ``rows`` of the table; ``excluded``, for each ``column`` and ``word`` that leave rows out, these ``rows`` (one
        that several words leave out counts for the first) and the ``patients`` who have no other row; ``cases`` and
        ``patients`` of the cohort; ``without``, the cases and patients who lack an input and were kept (``radiomics``:
        whose extraction failed, None where nothing was extracted); ``unused`` patients by label, who are in no part;
        ``untested`` patients, whom no fold tests; and ``parts``, the ``patients`` of every ``fold, part, center,
        label``.
    """
    mapping, problems = read_mapping(config)
    rows = joined_sheet(mapping, problems).rows
    used = frozenset().union(*(fold.train | fold.validation | fold.test for fold in folds))
    first = {patient: cases[0] for patient, cases in cohort.patients.items()}
    return {
        "rows": len(rows),
        "excluded": list(_excluded(mapping, rows)),
        "cases": len(cohort.cases),
        "patients": len(first),
        "without": _without(cohort, features),
        "unused": dict(Counter(str(case.label) for patient, case in first.items() if patient not in used)),
        "untested": len(used - frozenset().union(*(fold.test for fold in folds))),
        "parts": list(_parts(first, folds)),
    }


def _excluded(mapping: TableMapping, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    reasons = [_reason(mapping, row) for row in rows]
    patients = [row.cell(mapping.patient or mapping.key) for row in rows]
    kept = {patient for patient, reason in zip(patients, reasons, strict=True) if reason is None}
    for reason in dict.fromkeys(reason for reason in reasons if reason is not None):
        out = [patient for patient, other in zip(patients, reasons, strict=True) if other == reason]
        column, word = reason
        yield {"column": column, "word": word, "rows": len(out), "patients": len(set(out) - kept)}


def _reason(mapping: TableMapping, row: Row) -> tuple[str, str] | None:
    cells = ((column, normalized(row.cell(column)), words) for column, words in mapping.exclude.items())
    return next(((column, word) for column, word, words in cells if word in words), None)


def _without(cohort: Cohort, features: FeatureTable) -> dict[str, dict[str, int] | None]:
    extracted = {*features.case_ids}
    lacks: dict[str, Callable[[Case], bool]] = {
        "image": lambda case: case.image is None,
        "mask": lambda case: case.mask is None,
        "clinical": lambda case: not case.clinical,
        "radiomics": lambda case: case.image is not None and case.mask is not None and case.case_id not in extracted,
    }
    if not cohort.clinical_columns:
        del lacks["clinical"]
    found = {name: [case for case in cohort.cases if is_lacking(case)] for name, is_lacking in lacks.items()}
    counts: dict[str, dict[str, int] | None] = {
        name: {"cases": len(cases), "patients": len({case.patient_id for case in cases})}
        for name, cases in found.items()
    }
    return counts | ({} if extracted else {"radiomics": None})


def _parts(first: Mapping[str, Case], folds: Sequence[Fold]) -> Iterator[dict[str, Any]]:
    for fold in folds:
        for part in PARTS:
            counts = Counter((first[patient].center, str(first[patient].label)) for patient in getattr(fold, part))
            for (center, label), n in sorted(counts.items()):
                yield {"fold": fold.number, "part": part, "center": center, "label": label, "patients": n}
