"""Columns that know the outcome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fusion.audit.association import association, is_recoding
from fusion.audit.finding import Finding
from fusion.audit.measure import Measures
from fusion.audit.patients import label_of_patient, values_by_patient
from fusion.evaluation.estimate import Estimate
from fusion.records import Cohort, Kind, Value

# The lower limit of the AUC's interval above which a column alone is suspected, and the AUC from which it is certain.
_SUSPECT = 0.95
_CERTAIN = 0.995
# Of six patients a label, noise separates all by itself once in 462 columns; of fewer, nothing is said.
_MIN_PER_LABEL = 6
# Beginnings of words that name what is known only after the outcome. docs/checking.md lists them.
AFTERWARDS = (
    *("histolog", "patholog", "biops", "cytolog", "stage", "staging", "tnm", "grade", "grading", "treat", "therap"),
    *("chemo", "radioth", "surg", "operation", "resect", "surviv", "death", "died", "recur", "relaps", "progres"),
    *("follow", "verif", "diagnos", "outcome", "confirm"),
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def leaks(cohort: Cohort) -> list[Finding]:
    """Clinical inputs that tell the outcome too well, or whose name says that they are known only afterwards."""
    labels = label_of_patient(cohort)
    findings = []
    for column in cohort.clinical_columns:
        values = values_by_patient(cohort, column.name)
        told = _told(
            column.name, [values[patient] for patient in labels], list(labels.values()), column.kind, column.levels
        )
        if told is not None:
            findings.append(told)
        if (word := known_afterwards(column.name)) is not None:
            findings.append(_afterwards(column.name, word))
    return findings


def image_leaks(cohort: Cohort, measured: Mapping[str, Measures]) -> list[Finding]:
    """Properties of the image file that tell the outcome too well: a patient counts with the first image."""
    labels = label_of_patient(cohort)
    first = {
        patient: one
        for patient in labels
        if (
            one := next((measured[case.case_id] for case in cohort.patients[patient] if case.case_id in measured), None)
        )
    }
    properties: dict[str, list[Value]] = {
        "image height": [float(one.height) for one in first.values()],
        "image width": [float(one.width) for one in first.values()],
        "mean brightness": [one.brightness for one in first.values()],
        "calipers in the lesion": [float(bool(one.lesion and one.lesion.marks)) for one in first.values()],
        "burned-in text": [float(bool(one.words)) for one in first.values()],
    }
    outcome = [labels[patient] for patient in first]
    found = (_told(name, values, outcome, "number", ()) for name, values in properties.items())
    return [finding for finding in found if finding is not None]


def unused_leaks(columns: Mapping[str, Sequence[str]], labels: Sequence[str]) -> list[Finding]:
    """Columns of the table that the mapping does not name and that tell the outcome: a warning not to add them.

    Args:
        columns: Text of each case, by column; "" is missing.
        labels: Of the cases.
    """
    told: dict[str, Estimate] = {}
    for name, texts in columns.items():
        values, kind = _parsed(texts)
        estimate = association(values, labels, kind=kind)
        if _level(estimate, values, labels) is not None:
            told[name] = estimate
    if not told:
        return []
    shown = ", ".join(f"{name} (AUC {one.value:.2f})" for name, one in told.items())
    return [
        Finding(
            kind="unused_column_tells_outcome",
            severity="note",
            where="columns that are not used",
            found=f"{len(told)} would tell the outcome by themselves: {shown}",
            why="Nothing, as long as they are no inputs.",
            advice="Name them under cohort.banned, so that they never become inputs.",
            figures={name: one.as_json() for name, one in told.items()},
        )
    ]


def known_afterwards(name: str) -> str | None:
    """The word in a column's name that says that it is known only after the outcome."""
    words = [word.lower() for word in _WORD.findall(name)]
    return next((word for word in words if word.startswith(AFTERWARDS)), None)


def _told(
    name: str, values: Sequence[Value], labels: Sequence[str], kind: Kind, levels: Sequence[str]
) -> Finding | None:
    estimate = association(values, labels, kind=kind, levels=levels)
    level = _level(estimate, values, labels)
    if level is None:
        return None
    figures: dict[str, Any] = {"auc": estimate.as_json(), "is_recoding": level == "recoding"}
    auc = f"alone gives an AUC of {estimate.value:.3f} ({estimate.ci_low:.3f} to {estimate.ci_high:.3f})"
    if level == "recoding":
        auc = f"is the outcome in other words: each of its values belongs to one label; {auc}"
    return Finding(
        kind="column_tells_outcome",
        severity="warning" if level == "suspect" else "error",
        where=name,
        found=auc,
        why="No finding is that good: such a column is nearly always known only afterwards, or is the outcome itself.",
        advice="Find out when it was recorded; name it under cohort.banned unless that was before the outcome.",
        figures=figures,
    )


def _level(estimate: Estimate, values: Sequence[Value], labels: Sequence[str]) -> str | None:
    if min(Counter(labels).values(), default=0) < _MIN_PER_LABEL:
        return None
    if is_recoding(values, labels):
        return "recoding"
    if estimate.value >= _CERTAIN:
        return "certain"
    return "suspect" if estimate.ci_low > _SUSPECT else None


def _afterwards(name: str, word: str) -> Finding:
    return Finding(
        kind="column_known_afterwards",
        severity="warning",
        where=name,
        found=f"is an input, and its name ({word!r}) is that of something known only after the outcome",
        why="A model that is given it answers a question that nobody asks any more.",
        advice="Name it under cohort.banned; leave it if the name misleads and it was known before.",
        figures={"word": word},
    )


def _parsed(texts: Sequence[str]) -> tuple[list[Value], Kind]:
    """Numbers where all are, else words."""
    try:
        return [float(text) if text else None for text in texts], "number"
    except ValueError:
        return [text or None for text in texts], "category"
