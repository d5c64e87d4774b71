"""Values that are missing, and whether that has to do with the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, fisher_exact
from statsmodels.stats.multitest import multipletests

from fusion.audit.finding import Finding
from fusion.audit.patients import label_of_patient, values_by_patient
from fusion.records import Cohort

_ALPHA = 0.05
_MOST = 0.5


@dataclass(frozen=True, kw_only=True)
class _Missing:
    """Patients without a value, and all, by label and by center."""

    column: str
    by_label: Mapping[str, tuple[int, int]]
    by_center: Mapping[str, tuple[int, int]]

    @property
    def total(self) -> tuple[int, int]:
        missing, n = zip(*self.by_label.values(), strict=True)
        return sum(missing), sum(n)


def missing_values(cohort: Cohort) -> list[Finding]:
    """A finding per column with missing values, by patient.

    Whether missingness depends on the outcome is tested by Fisher's exact test for two labels, else by chi-square;
    Holm over the columns. A center that never has the value is reported too.
    """
    columns = [_count(cohort, column.name) for column in cohort.clinical_columns]
    lacking = [column for column in columns if column.total[0]]
    if not lacking:
        return []
    raw = [_p_value(column.by_label) for column in lacking]
    tested = [p for p in raw if p is not None]
    adjusted = iter(multipletests(tested, method="holm")[1].tolist() if tested else [])
    return [_finding(column, None if p is None else next(adjusted)) for column, p in zip(lacking, raw, strict=True)]


def _count(cohort: Cohort, column: str) -> _Missing:
    values, labels = values_by_patient(cohort, column), label_of_patient(cohort)
    centers = {patient: cohort.patients[patient][0].center for patient in values}

    def by(group_of: Mapping[str, str], names: Sequence[str]) -> dict[str, tuple[int, int]]:
        members = {name: [value for patient, value in values.items() if group_of[patient] == name] for name in names}
        return {name: (sum(value is None for value in of), len(of)) for name, of in members.items()}

    return _Missing(
        column=column,
        by_label=by(labels, cohort.label_names),
        by_center=by(centers, sorted(set(centers.values()))),
    )


def _p_value(by_label: Mapping[str, tuple[int, int]]) -> float | None:
    table = np.array([(missing, n - missing) for missing, n in by_label.values() if n])
    if len(table) < 2 or not table.sum(axis=0).all():
        return None
    return float(fisher_exact(table).pvalue if len(table) == 2 else chi2_contingency(table).pvalue)


def _finding(missing: _Missing, p: float | None) -> Finding:
    n, n_all = missing.total
    depends = p is not None and p < _ALPHA
    never = [center for center, (k, of) in missing.by_center.items() if k == of] if n < n_all else []
    shares = ", ".join(f"{label} {k / of:.0%}" for label, (k, of) in missing.by_label.items() if of)
    found = f"{n} of {n_all} patients ({n / n_all:.0%}) have no value: {shares}"
    found += f" ({'depends on the outcome, ' if depends else ''}p = {p:.2g})" if p is not None else ""
    found += f"; never recorded in {', '.join(never)}" if never else ""
    return Finding(
        kind="missing_values",
        severity="warning" if depends or never or n > _MOST * n_all else "note",
        where=missing.column,
        found=found,
        why=_why(depends=depends, never=bool(never)),
        advice=_advice(depends=depends, never=bool(never)),
        figures={
            "n": n,
            "n_patients": n_all,
            "by_label": _as_json(missing.by_label),
            "by_center": _as_json(missing.by_center),
            "p_holm": p,
        },
    )


def _why(*, depends: bool, never: bool) -> str:
    if depends:
        return "That the value is missing tells of the outcome: the missing-value indicator is a leak if it came later."
    if never:
        return "The missing-value indicator tells the center."
    return "Missing values are filled in within the training part of each fold, with an indicator beside them."


def _advice(*, depends: bool, never: bool) -> str:
    if depends:
        return "Find out why; leave the column out if it was recorded with the outcome in mind or at hand."
    if never:
        return "Collect it there, or leave the column out."
    return "Look into the source for those that can still be found."


def _as_json(counts: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    return {name: {"missing": missing, "n": n} for name, (missing, n) in counts.items()}
