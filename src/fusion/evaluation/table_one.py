"""Table 1: who the patients are, by part and by label, with tests and standardized differences. No row of a patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fusion.records import Case, ClinicalColumn, Cohort, Fold, Value

# Where the exact distribution has too many tables to walk through.
_N_RESAMPLES = 49_999
_LEAST_EXPECTED = 5
_NO_YES = ("no", "yes")


class Variable(NamedTuple):
    """One characteristic of every patient.

    Attributes:
        name: Of the clinical column; of a set ``column=element``.
        kind: ``number``, ``category``, ``ordered`` or ``yes_no``.
        unit: Of a number.
        levels: Of the other kinds, in the order of the rows.
        values: By patient; None where it is missing.
    """

    name: str
    kind: str
    unit: str | None
    levels: tuple[str, ...]
    values: Mapping[str, Value]


def table_one(cohort: Cohort, folds: Sequence[Fold], *, seed: int) -> dict[str, Any]:
    """Characteristics of the patients that a run used, as plain numbers, unrounded.

    Of a patient with several cases the first known value counts. Patients without a value are counted as missing, and
    are in no other number of that variable. The p values are not corrected for the number of variables: they describe,
    and with few patients a difference that matters may well have none below 0.05; the standardized mean difference
    does not depend on the number of patients (above 0.1 it is often called an imbalance: Austin, Stat Med
    2009;28:3083).

    Args:
        cohort: With a label for every patient.
        folds: All of the run. Of one fold the training patients (the inner part among them) stand against the test
            patients; under cross-validation, where everybody is in both, there is no table by part.
        seed: Of the tables that are drawn where Fisher's test is not computed exactly.

    Returns:
        ``patients``, ``n_folds`` and by ``part`` (None under cross-validation) and ``label`` a comparison: ``groups``
        (name → patients) and ``variables``, each with ``name, kind, unit, all, groups, test, p, smd``. ``all`` and each
        of ``groups`` hold ``n`` (with a value), ``missing``, and of a number ``mean, sd, median, q1, q3``, else
        ``counts`` by level. What is not defined is None.
    """
    used = frozenset().union(*(fold.train | fold.validation | fold.test for fold in folds))
    patients = [patient for patient in cohort.patients if patient in used]
    labels = {patient: cohort.patients[patient][0].label for patient in patients}
    by_label = {name: [patient for patient in patients if labels[patient] == name] for name in cohort.label_names}
    label = Variable("label", "category", None, cohort.label_names, labels)
    centers, clinical = _center(cohort, patients), list(_clinical(cohort, patients))
    part = None
    if len(folds) == 1:
        by_part = {
            "training": [patient for patient in patients if patient not in folds[0].test],
            "test": [patient for patient in patients if patient in folds[0].test],
        }
        part = _comparison([label, *centers, *clinical], by_part, seed=seed)
    return {
        "patients": len(patients),
        "n_folds": len(folds),
        "part": part,
        "label": _comparison([*centers, *clinical], by_label, seed=seed),
    }


def standardized_difference_of_numbers(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """|difference of the means| over the root of the mean variance (Austin, Stat Med 2009;28:3083); 0 is none.

    Returns:
        None for fewer than two values in a group, and for different means without any variance.
    """
    if min(len(first), len(second)) < 2:
        return None
    difference = abs(float(first.mean() - second.mean()))
    spread = float(np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2))
    if spread == 0:
        return 0.0 if difference == 0 else None
    return difference / spread


def standardized_difference_of_shares(first: NDArray[np.int64], second: NDArray[np.int64]) -> float | None:
    """Mahalanobis' distance of the two groups' shares (Yang & Dalton, SAS Global Forum 2012, paper 335); 0 is none.

    With two levels it is |p₁ - p₂| over the root of the mean of p(1 - p) (Austin, Stat Med 2009;28:3083).

    Args:
        first, second: (L,) patients by level.

    Returns:
        None for a group without patients, and where the groups share so few levels that the distance is infinite.
    """
    if not first.sum() or not second.sum():
        return None
    # One share follows from the others; a level that nobody has says nothing.
    held = np.flatnonzero(first + second)[1:]
    p, q = first[held] / first.sum(), second[held] / second.sum()
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    difference = p - q
    solved = np.linalg.pinv(covariance, hermitian=True) @ difference
    if not np.allclose(covariance @ solved, difference):
        return None
    return float(np.sqrt(max(0.0, float(difference @ solved))))


def compare_numbers(groups: Sequence[NDArray[np.float64]]) -> tuple[str, float | None]:
    """Mann & Whitney's test of two groups (exact for up to 8 patients without ties), Kruskal & Wallis' of more.

    Returns:
        Name of the test, and its two-sided p; None where a group has no value or all values are the same.
    """
    name = "mann_whitney" if len(groups) == 2 else "kruskal_wallis"
    if any(len(group) == 0 for group in groups) or len(np.unique(np.concatenate(groups))) < 2:
        return name, None
    test = stats.mannwhitneyu if len(groups) == 2 else stats.kruskal
    return name, float(test(*groups).pvalue)


def compare_counts(table: NDArray[np.int64], *, seed: int) -> tuple[str, float | None]:
    """Pearson's chi-squared test (Yates' correction for 2 x 2), or Fisher's where fewer than 5 are expected in a cell.

    Fisher's test is exact for 2 x 2; a larger table is compared with 49,999 tables that are drawn with the same margins
    (Freeman & Halton, Biometrika 1951;38:141), so that its p has an error of at most about 0.004.

    Args:
        table: (levels, groups) patients.
        seed: Of what is drawn.

    Returns:
        Name of the test, and its p; None where there is only one level, or a group without patients.
    """
    held = table[table.sum(1) > 0]
    if len(held) < 2 or not held.sum(0).all():
        return "chi_squared", None
    if stats.contingency.expected_freq(held).min() >= _LEAST_EXPECTED:
        return "chi_squared", float(stats.chi2_contingency(held).pvalue)
    if held.shape == (2, 2):
        return "fisher", float(stats.fisher_exact(held).pvalue)
    drawn = stats.random_table(held.sum(1), held.sum(0), seed=np.random.default_rng(seed))
    likelihoods = drawn.logpmf(drawn.rvs(_N_RESAMPLES))
    # Tables of the same likelihood differ in the last digits.
    n_rarer = int((likelihoods <= drawn.logpmf(held) + 1e-7).sum())
    return "fisher_drawn", (1 + n_rarer) / (1 + _N_RESAMPLES)


def _center(cohort: Cohort, patients: Sequence[str]) -> list[Variable]:
    values = {patient: cohort.patients[patient][0].center for patient in patients}
    centers = tuple(sorted(set(values.values())))
    return [Variable("center", "category", None, centers, values)] if len(centers) > 1 else []


def _clinical(cohort: Cohort, patients: Sequence[str]) -> Iterator[Variable]:
    for column in cohort.clinical_columns:
        values = _first_known(cohort, patients, _value_of(column.name))
        yield from _of_set(column.name, values) if column.kind == "set" else [_variable(column, values)]
    if cohort.reader_column is not None and cohort.reader_column not in {of.name for of in cohort.clinical_columns}:
        scores = _first_known(cohort, patients, lambda case: case.reader_score)
        yield Variable(cohort.reader_column, "ordered", None, cohort.reader_levels, scores)


def _value_of(column: str) -> Callable[[Case], Value]:
    return lambda case: case.clinical.get(column)


def _first_known(cohort: Cohort, patients: Sequence[str], value_of: Callable[[Case], Value]) -> dict[str, Value]:
    known = {patient: (value_of(case) for case in cohort.patients[patient]) for patient in patients}
    return {patient: next((value for value in of if value is not None), None) for patient, of in known.items()}


def _of_set(name: str, values: Mapping[str, Value]) -> Iterator[Variable]:
    """Each element is a yes/no of its own; a patient may have several."""
    known = [value for value in values.values() if isinstance(value, frozenset)]
    for element in sorted(frozenset().union(*known)):
        held: dict[str, Value] = {
            patient: _NO_YES[element in value] if isinstance(value, frozenset) else None
            for patient, value in values.items()
        }
        yield Variable(f"{name}={element}", "yes_no", None, _NO_YES, held)


def _variable(column: ClinicalColumn, values: Mapping[str, Value]) -> Variable:
    if column.kind == "yes_no":
        values = {patient: None if value is None else _NO_YES[value == 1] for patient, value in values.items()}
        return Variable(column.name, column.kind, None, _NO_YES, values)
    found = () if column.kind == "number" else tuple(sorted({str(v) for v in values.values() if v is not None}))
    return Variable(column.name, column.kind, column.unit, column.levels or found, values)


def _comparison(variables: Sequence[Variable], groups: Mapping[str, Sequence[str]], *, seed: int) -> dict[str, Any]:
    return {
        "groups": {name: len(patients) for name, patients in groups.items()},
        "variables": [_compared(variable, groups, seed=seed) for variable in variables],
    }


def _compared(variable: Variable, groups: Mapping[str, Sequence[str]], *, seed: int) -> dict[str, Any]:
    everybody = [patient for patients in groups.values() for patient in patients]
    summary = _numbers_summary if variable.kind == "number" else _counts_summary
    test, p = _tested(variable, list(groups.values()), seed=seed)
    return {
        "name": variable.name,
        "kind": variable.kind,
        "unit": variable.unit,
        "all": summary(variable, everybody),
        "groups": {name: summary(variable, patients) for name, patients in groups.items()},
        "test": test,
        "p": p,
        "smd": _largest_difference(variable, list(groups.values())),
    }


def _tested(variable: Variable, groups: Sequence[Sequence[str]], *, seed: int) -> tuple[str, float | None]:
    """Ordered levels are compared by their ranks, as numbers are: that they have an order is not thrown away."""
    if variable.kind == "number":
        return compare_numbers([_numbers(variable, patients) for patients in groups])
    if variable.kind == "ordered":
        return compare_numbers(
            [np.repeat(np.arange(len(of)), of).astype(np.float64) for of in _tables(variable, groups)]
        )
    return compare_counts(np.stack(_tables(variable, groups), axis=1), seed=seed)


def _largest_difference(variable: Variable, groups: Sequence[Sequence[str]]) -> float | None:
    """Of two groups the standardized mean difference; of more the largest of all pairs', if all are defined."""
    if variable.kind == "number":
        numbers = [_numbers(variable, patients) for patients in groups]
        found = [standardized_difference_of_numbers(*pair) for pair in combinations(numbers, 2)]
    else:
        found = [standardized_difference_of_shares(*pair) for pair in combinations(_tables(variable, groups), 2)]
    defined = [value for value in found if value is not None]
    return max(defined) if len(defined) == len(found) and found else None


def _numbers(variable: Variable, patients: Sequence[str]) -> NDArray[np.float64]:
    values = (variable.values[patient] for patient in patients)
    return np.array([value for value in values if isinstance(value, int | float)], dtype=np.float64)


def _tables(variable: Variable, groups: Sequence[Sequence[str]]) -> list[NDArray[np.int64]]:
    """(L,) patients by level, of each group."""
    values = ([variable.values[patient] for patient in patients] for patients in groups)
    return [np.array([of.count(level) for level in variable.levels], dtype=np.int64) for of in values]


def _numbers_summary(variable: Variable, patients: Sequence[str]) -> dict[str, Any]:
    numbers = _numbers(variable, patients)
    figures: dict[str, float | None] = dict.fromkeys(("mean", "sd", "median", "q1", "q3"))
    if len(numbers):
        q1, median, q3 = np.quantile(numbers, (0.25, 0.5, 0.75)).tolist()
        figures |= {"mean": float(numbers.mean()), "median": median, "q1": q1, "q3": q3}
    if len(numbers) > 1:
        figures["sd"] = float(numbers.std(ddof=1))
    return {"n": len(numbers), "missing": len(patients) - len(numbers), **figures}


def _counts_summary(variable: Variable, patients: Sequence[str]) -> dict[str, Any]:
    (counts,) = _tables(variable, [patients])
    n = int(counts.sum())
    by_level = {level: int(count) for level, count in zip(variable.levels, counts, strict=True)}
    return {"n": n, "missing": len(patients) - n, "counts": by_level}
