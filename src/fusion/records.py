"""The frozen types that pass between stages. Each checks its invariants when it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "category", "ordered", "set", "yes_no"]
Source = Literal["patient", "ultrasound"]
Part = Literal["train", "validation", "test"]
Value = float | str | frozenset[str] | None
PARTS: tuple[Part, ...] = ("train", "validation", "test")
UNLABELED = ""


@dataclass(frozen=True, kw_only=True)
class ClinicalColumn:
    """A column of the clinical branch.

    Attributes:
        name: As in the table.
        kind: ``number`` and ``yes_no`` (1.0 or 0.0) hold floats, ``category`` and ``ordered`` strings,
            ``set`` frozensets of strings; None is a missing value in each.
        unit: Of a number, e.g. ``years``.
        levels: Of an ordered column, from low to high. Empty for the other kinds: their levels are learned
            from the training part of a fold.
        source: ``ultrasound`` for what a reader or an instrument saw in the scan, ``patient`` for all else.
    """

    name: str
    kind: Kind
    unit: str | None = None
    levels: tuple[str, ...] = ()
    source: Source = "patient"

    def __post_init__(self) -> None:
        if (self.kind == "ordered") != bool(self.levels):
            raise ValueError(f"column {self.name!r}: levels belong to an ordered column, and only to one")
        if self.source not in get_args(Source):
            raise ValueError(f"column {self.name!r}: source {self.source!r} is none of {get_args(Source)}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One image of one patient, with what is known of the patient.

    Attributes:
        case_id: Unique in the cohort.
        patient_id: Shared by the cases of one patient.
        center: Hospital, or scanner where that is what differs.
        image: Path of the image; None where the patient has none.
        mask: Path of the lesion's mask; None where there is none.
        frame: Frame of a multi-frame image, counted from 0; None for the only one.
        mask_label: Value of the lesion in a label mask; None means that every value above 0 is lesion.
        label: One of the cohort's label names; None where the outcome is unknown.
        clinical: Value of every clinical column; empty where the patient has no clinical row.
        fold: Value of the cohort's given split column, if it has one.
        second_mask: Path of a second reader's outline of the same lesion; None where there is none.
        reader_score: The reader's own score, one of the cohort's ``reader_levels``, whether it is an input or not.
    """

    case_id: str
    patient_id: str
    center: str
    image: Path | None
    mask: Path | None
    label: str | None
    clinical: Mapping[str, Value]
    frame: int | None = None
    mask_label: int | None = None
    fold: str | None = None
    second_mask: Path | None = None
    reader_score: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Patients of one study.

    Attributes:
        name: Short name.
        cases: In the order of the table.
        label_names: The outcome's values, the positive one last.
        clinical_columns: The columns of the clinical branch, in a fixed order.
        reader_column: Column of the reader's own score; None where the cohort has none.
        reader_levels: Its levels, from low to high.

    Raises:
        ValueError: For duplicate case ids, a patient with two labels, or a label or reader's score that is unknown.
    """

    name: str
    cases: tuple[Case, ...]
    label_names: tuple[str, ...]
    clinical_columns: tuple[ClinicalColumn, ...]
    reader_column: str | None = None
    reader_levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _refuse_duplicates("case id", (case.case_id for case in self.cases))
        _refuse_duplicates("clinical column", (column.name for column in self.clinical_columns))
        labels: dict[str, str | None] = {}
        for case in self.cases:
            if case.label is not None and case.label not in self.label_names:
                raise ValueError(f"case {case.case_id!r}: label {case.label!r} is none of {self.label_names}")
            if case.reader_score is not None and case.reader_score not in self.reader_levels:
                raise ValueError(
                    f"case {case.case_id!r}: reader's score {case.reader_score!r} is none of {self.reader_levels}"
                )
            if labels.setdefault(case.patient_id, case.label) != case.label:
                raise ValueError(
                    f"patient {case.patient_id!r} has the labels {labels[case.patient_id]!r} and {case.label!r}"
                )

    @cached_property
    def patients(self) -> dict[str, tuple[Case, ...]]:
        """Cases by patient id, both in table order."""
        grouped: dict[str, list[Case]] = {}
        for case in self.cases:
            grouped.setdefault(case.patient_id, []).append(case)
        return {patient_id: tuple(cases) for patient_id, cases in grouped.items()}


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Radiomics features by case.

    Attributes:
        case_ids: One per row; a case without features has no row.
        names: One per column.
        values: (N, F) float64.
    """

    case_ids: tuple[str, ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        expected = (len(self.case_ids), len(self.names))
        if self.values.shape != expected:
            raise ValueError(f"features: values are {self.values.shape}, ids and names ask for {expected}")
        _refuse_duplicates("case id", self.case_ids)
        _refuse_duplicates("feature", self.names)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One division of a cohort's patients.

    Attributes:
        number: Counted from 0.
        seed: Of the run that made it.
        train: Patients that weights and preprocessing are fitted on.
        validation: The inner part of the training patients, held out for early stopping and the threshold.
        test: Patients that are scored, once.
    """

    number: int
    seed: int
    train: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]

    def __post_init__(self) -> None:
        shared = (self.train & self.validation) | (self.train & self.test) | (self.validation & self.test)
        if shared:
            raise ValueError(f"fold {self.number}: patients in two parts: {sorted(shared)[:5]}")
        if not self.train or not self.test:
            raise ValueError(
                f"fold {self.number}: a part without patients (train {len(self.train)}, test {len(self.test)})"
            )

    def part_of(self, patient_id: str) -> Part | None:
        """The part that holds the patient, or None."""
        for part in PARTS:
            if patient_id in getattr(self, part):
                return part
        return None


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Probabilities of one model, whichever made them. A row is a patient (or a case) in one part of one fold.

    Attributes:
        model: Name of the model.
        label_names: (K,) the positive one last.
        patient_ids, centers, parts: (N,) strings.
        folds: (N,) ints.
        labels: (N,) strings of ``label_names``, or ``UNLABELED``.
        probabilities: (N, K) in [0, 1], rows summing to 1.
        case_ids: (N,) where a row is a case, else None.
    """

    model: str
    label_names: tuple[str, ...]
    patient_ids: tuple[str, ...]
    centers: tuple[str, ...]
    parts: tuple[str, ...]
    folds: tuple[int, ...]
    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    case_ids: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        n_rows = len(self.patient_ids)
        columns = (
            self.centers,
            self.parts,
            self.folds,
            self.labels,
            *([self.case_ids] if self.case_ids is not None else []),
        )
        if any(len(column) != n_rows for column in columns) or self.probabilities.shape != (
            n_rows,
            len(self.label_names),
        ):
            raise ValueError(
                f"predictions: columns are not all {n_rows} long, or probabilities are {self.probabilities.shape}"
            )
        unknown = set(self.labels) - {*self.label_names, UNLABELED}
        if unknown:
            raise ValueError(f"predictions: labels {sorted(unknown)} are none of {self.label_names}")
        # Written so that NaN fails too.
        if not (
            np.all((self.probabilities >= 0) & (self.probabilities <= 1))
            and np.allclose(self.probabilities.sum(1), 1, atol=1e-5)
        ):
            raise ValueError("predictions: probabilities must lie in [0, 1] and sum to 1 in each row")
        keys = zip(self.case_ids or self.patient_ids, self.folds, strict=True)
        _refuse_duplicates("row (id, fold)", keys)

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """The rows of predictions of one model below each other; all of patients, or all of cases."""

        def column(name: str) -> Any:
            return tuple(value for part in parts for value in getattr(part, name))

        return cls(
            model=parts[0].model,
            label_names=parts[0].label_names,
            case_ids=None if parts[0].case_ids is None else column("case_ids"),
            probabilities=np.concatenate([part.probabilities for part in parts]),
            **{name: column(name) for name in ("patient_ids", "centers", "parts", "folds", "labels")},
        )

    def select(self, rows: Iterable[bool]) -> Predictions:
        """The rows where ``rows`` is true, in order."""
        index = np.flatnonzero(np.fromiter(rows, dtype=bool))
        picked: dict[str, Any] = {
            name: tuple(getattr(self, name)[i] for i in index)
            for name in ("patient_ids", "centers", "parts", "folds", "labels")
        }
        case_ids = None if self.case_ids is None else tuple(self.case_ids[i] for i in index)
        return Predictions(
            model=self.model,
            label_names=self.label_names,
            probabilities=self.probabilities[index],
            case_ids=case_ids,
            **picked,
        )


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """How much each input moved each prediction.

    Attributes:
        case_ids: (N,)
        branch: ``image``, ``radiomics``, ``clinical``, or ``branches`` for the three together.
        names: (F,)
        values: (N, F), signed towards the positive label.
        completeness_error: (N,) what the values leave unexplained, in the output's unit; NaN where a method has no sum.
    """

    case_ids: tuple[str, ...]
    branch: str
    names: tuple[str, ...]
    values: NDArray[np.float64]
    completeness_error: NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        expected = (len(self.case_ids), len(self.names))
        if self.values.shape != expected or self.completeness_error.shape != expected[:1]:
            raise ValueError(f"attribution: values are {self.values.shape}, ids and names ask for {expected}")


def _refuse_duplicates(what: str, items: Iterable[object]) -> None:
    repeated = [item for item, count in Counter(items).items() if count > 1]
    if repeated:
        raise ValueError(f"duplicate {what}: {repeated[:5]}")
