"""The clinical row of a patient, from the rows of the patient's images."""

from __future__ import annotations

from collections.abc import Mapping

from fusion.records import Cohort, Value


def values_by_patient(cohort: Cohort, column: str) -> dict[str, Value]:
    """The first value of a clinical column that a labeled patient has; None where there is none."""
    return {
        patient: next((case.clinical[column] for case in cases if case.clinical.get(column) is not None), None)
        for patient, cases in cohort.patients.items()
        if cases[0].label is not None
    }


def label_of_patient(cohort: Cohort) -> Mapping[str, str]:
    """Label of every labeled patient."""
    return {patient: cases[0].label for patient, cases in cohort.patients.items() if cases[0].label is not None}
