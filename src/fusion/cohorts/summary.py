"""How many patients, cases, labels and missing values a cohort has, by center."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fusion.records import UNLABELED, Case, Cohort

ALL_CENTERS = "all"


@dataclass(frozen=True, kw_only=True)
class CenterSummary:
    """Counts of one center, or of all.

    Attributes:
        center: Its name.
        n_patients: Different patients.
        n_cases: Images, or rows of the table.
        patients_by_label: For every label name; ``UNLABELED`` stands last where there are such patients.
        cases_by_label: The same for cases.
        n_without_image: Cases.
        n_without_mask: Cases.
        n_missing: Cases without a value, by clinical column.
    """

    center: str
    n_patients: int
    n_cases: int
    patients_by_label: Mapping[str, int]
    cases_by_label: Mapping[str, int]
    n_without_image: int
    n_without_mask: int
    n_missing: Mapping[str, int]


def summarize(cohort: Cohort) -> tuple[CenterSummary, ...]:
    """One summary per center, by name, then one of all centers where there are several."""
    centers = sorted({case.center for case in cohort.cases})
    parts = [(center, [case for case in cohort.cases if case.center == center]) for center in centers]
    if len(parts) > 1:
        parts.append((ALL_CENTERS, list(cohort.cases)))
    return tuple(_summary(center, cases, cohort) for center, cases in parts)


def _summary(center: str, cases: Sequence[Case], cohort: Cohort) -> CenterSummary:
    label_of = {case.patient_id: case.label for case in cases}
    return CenterSummary(
        center=center,
        n_patients=len(label_of),
        n_cases=len(cases),
        patients_by_label=_by_label(label_of.values(), cohort),
        cases_by_label=_by_label([case.label for case in cases], cohort),
        n_without_image=sum(case.image is None for case in cases),
        n_without_mask=sum(case.mask is None for case in cases),
        n_missing={
            column.name: sum(case.clinical.get(column.name) is None for case in cases)
            for column in cohort.clinical_columns
        },
    )


def _by_label(labels: Iterable[str | None], cohort: Cohort) -> dict[str, int]:
    counts = Counter(UNLABELED if label is None else label for label in labels)
    names = (*cohort.label_names, *([UNLABELED] if any(case.label is None for case in cohort.cases) else []))
    return {name: counts[name] for name in names}
