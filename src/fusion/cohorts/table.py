"""The rows of a table → the cases of a cohort, with everything that is wrong reported at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from fusion.cohorts.mapping import ADVICE, PathTemplate, TableMapping, read_mapping
from fusion.cohorts.section import closest
from fusion.cohorts.sheet import Row, Sheet, join_sheets, read_sheet
from fusion.cohorts.values import ColumnFormat, normalized, parse_value, quoted
from fusion.errors import InputError, Problem
from fusion.records import Case, Cohort, Value

_FRAME = re.compile("[0-9]+")


def read_table(config: Mapping[str, Any], *, require_labels: bool) -> Cohort:
    """Read a cohort from its table, without opening an image.

    Args:
        config: The plain ``cohort`` config.
        require_labels: False for prediction: columns that describe a patient may be absent, and a label that is
            absent, empty or unknown is None.

    Raises:
        InputError: With every problem of the mapping and the table.
    """
    mapping, problems = read_mapping(config)
    try:
        sheet = joined_sheet(mapping, problems)
    except InputError as error:
        raise InputError(f"Cohort {mapping.name}", [*problems, *error.problems], ADVICE) from error
    mapping = _present(mapping, sheet, require_labels, problems)
    rows = tuple(row for row in sheet.rows if not is_excluded(row, mapping))
    reader = _RowReader(mapping, require_labels=require_labels, problems=problems)
    cases = [reader.case(row) for row in rows]
    problems += _between_rows(mapping, rows, cases) + _no_second_mask(mapping, cases)
    if not rows:
        problems.append(Problem(where=mapping.table, required="at least one row that is not excluded", came="none"))
    elif require_labels and mapping.label is not None:
        problems += _labels_without_case(mapping, cases)
    if problems:
        raise InputError(f"Cohort {mapping.name}", problems, ADVICE)
    return Cohort(
        name=mapping.name,
        cases=tuple(cases if require_labels else _one_label_per_patient(cases)),
        label_names=tuple(mapping.labels),
        clinical_columns=tuple(layout.column for layout in mapping.formats),
        reader_column=None if mapping.reader is None else mapping.reader.column.name,
        reader_levels=() if mapping.reader is None else mapping.reader.column.levels,
    )


def joined_sheet(mapping: TableMapping, problems: list[Problem]) -> Sheet:
    """The cohort's table with its further tables joined, excluded rows among its rows.

    Args:
        mapping: Of the columns.
        problems: Disagreements between the tables are added.

    Raises:
        InputError: If the folder or a table cannot be read.
    """
    root = Path(mapping.root).expanduser()
    if not root.is_dir():
        problem = Problem(where="cohort.root", required="the folder of the cohort", came=f"{root}, which is none")
        raise InputError(f"Cohort {mapping.name}", [problem], ADVICE)
    sheet = read_sheet(root, mapping.table, mapping.sheet)
    used = {column for _, column in (*mapping.identifying, *mapping.descriptive)}
    for file, by in mapping.joins:
        sheet, disagreements = join_sheets(sheet, read_sheet(root, file, None), by, used)
        problems += disagreements
    return sheet


def _present(mapping: TableMapping, sheet: Sheet, require_labels: bool, problems: list[Problem]) -> TableMapping:
    """Note the columns that are missing or stand there twice, and leave what needs them out of the mapping."""
    named = (*mapping.identifying, *mapping.descriptive)
    wanted: dict[str, list[str]] = {}
    for key, column in named if require_labels else mapping.identifying:
        wanted.setdefault(column, []).append(key)
    where = f"{sheet.file}, row 1"
    for column, keys in wanted.items():
        if column not in sheet.columns:
            required = f"the column {column!r} ({', '.join(keys)})"
            came = f"no such column ({closest(column, sheet.columns)})"
            problems.append(Problem(where=where, required=required, came=came))
    columns = {column for _, column in named}
    problems += [
        Problem(where=where, required=f"one column {column!r}", came="several")
        for column in sorted(columns & sheet.repeated)
    ]
    if mapping.key not in sheet.columns:
        raise InputError(f"Cohort {mapping.name}", problems, ADVICE)
    return mapping.without(columns - set(sheet.columns))


def is_excluded(row: Row, mapping: TableMapping) -> bool:
    """Whether ``cohort.exclude`` leaves the row out."""
    return any(normalized(row.cell(column)) in words for column, words in mapping.exclude.items())


class _RowReader:
    """Reads one row after the other into a case, noting what is wrong."""

    def __init__(self, mapping: TableMapping, *, require_labels: bool, problems: list[Problem]) -> None:
        self._mapping = mapping
        self._root = Path(mapping.root).expanduser()
        self._require_labels = require_labels
        self._problems = problems
        self._label_of = {word: name for name, words in mapping.labels.items() for word in words}

    def case(self, row: Row) -> Case:
        mapping = self._mapping
        case_id = self._required(row, mapping.key, "a key") or row.place
        clinical = self._clinical(row)
        return Case(
            case_id=case_id,
            patient_id=self._required(row, mapping.patient, "a patient") or case_id,
            center=self._required(row, mapping.center, "a center") or mapping.name,
            image=self._path(row, "image", mapping.image, optional=False),
            mask=self._path(row, "mask", mapping.mask, optional=mapping.mask_optional),
            label=self._label(row),
            clinical=clinical,
            frame=self._frame(row),
            mask_label=mapping.mask_label,
            fold=self._fold(row),
            # Readers usually outline a part of the cases a second time.
            second_mask=self._path(row, "second mask", mapping.second_mask, optional=True),
            reader_score=self._reader_score(row, clinical),
        )

    def _note(self, row: Row, column: str, required: str, came: str) -> None:
        key = row.cell(self._mapping.key)
        where = f"{row.place_of(column)}{f' (case {key})' if key else ''}, column {column!r}"
        self._problems.append(Problem(where=where, required=required, came=came))

    def _text(self, row: Row, column: str | None) -> str | None:
        text = "" if column is None else row.cell(column)
        return None if normalized(text) in self._mapping.missing else text

    def _required(self, row: Row, column: str | None, what: str) -> str | None:
        text = self._text(row, column)
        if column is not None and text is None:
            self._note(row, column, what, _shown(row, column))
        return text

    def _path(
        self, row: Row, what: Literal["image", "mask", "second mask"], template: PathTemplate | None, *, optional: bool
    ) -> Path | None:
        if template is None or any(self._text(row, column) is None for column in template.columns):
            return None
        path = self._root / template.fill({column: row.cell(column) for column in template.columns})
        if path.is_file():
            return path
        if not optional:
            self._note(row, (*template.columns, self._mapping.key)[0], f"the {what} {path}", "no such file")
        return None

    def _label(self, row: Row) -> str | None:
        column = self._mapping.label
        text = self._text(row, column)
        label = None if text is None else self._label_of.get(normalized(text))
        if label is None and column is not None and self._require_labels:
            self._note(row, column, f"a label out of {quoted(tuple(self._mapping.labels))}", _shown(row, column))
        return label

    def _clinical(self, row: Row) -> dict[str, Value]:
        values = {layout.column.name: self._value(row, layout) for layout in self._mapping.formats}
        return values if any(value is not None for value in values.values()) else {}

    def _reader_score(self, row: Row, clinical: Mapping[str, Value]) -> str | None:
        layout = self._mapping.reader
        if layout is None:
            return None
        # As an input it was read already, and what is wrong with it noted.
        value = clinical.get(layout.column.name) if layout in self._mapping.formats else self._value(row, layout)
        return None if value is None else str(value)

    def _value(self, row: Row, layout: ColumnFormat) -> Value:
        text = self._text(row, layout.column.name)
        try:
            return None if text is None else parse_value(text, layout)
        except ValueError as error:
            self._note(row, layout.column.name, str(error), repr(text))
            return None

    def _frame(self, row: Row) -> int | None:
        column, text = self._mapping.frame, self._text(row, self._mapping.frame)
        if column is None or text is None:
            return None
        if not _FRAME.fullmatch(text):
            self._note(row, column, "a whole number from 0, the frame of the image", repr(text))
            return None
        return int(text)

    def _fold(self, row: Row) -> str | None:
        what = "a fold of the given split"
        column = self._mapping.fold
        return self._required(row, column, what) if self._require_labels else self._text(row, column)


def _shown(row: Row, column: str) -> str:
    return repr(row.cell(column)) if row.cell(column) else "an empty cell"


def _between_rows(mapping: TableMapping, rows: Sequence[Row], cases: Sequence[Case]) -> list[Problem]:
    problems = _repeated_keys(mapping, rows)
    for column, attribute in ((mapping.label, "label"), (mapping.center, "center"), (mapping.fold, "fold")):
        if column is not None:
            known = [
                (row, case)
                for row, case in zip(rows, cases, strict=True)
                if normalized(row.cell(column)) not in mapping.missing
            ]
            problems += _disagreeing(column, attribute, known)
    return problems


def _repeated_keys(mapping: TableMapping, rows: Iterable[Row]) -> list[Problem]:
    first: dict[str, Row] = {}
    problems = []
    for row in rows:
        key = row.cell(mapping.key)
        if key and first.setdefault(key, row) is not row:
            where = f"{row.place_of(mapping.key)}, column {mapping.key!r}"
            came = f"{key!r} again (first in {first[key].place})"
            problems.append(Problem(where=where, required="a key that no other row has", came=came))
    return problems


def _disagreeing(column: str, attribute: str, known: Iterable[tuple[Row, Case]]) -> list[Problem]:
    first: dict[str, tuple[Row, str]] = {}
    problems = []
    for row, case in known:
        value = getattr(case, attribute)
        if value is None:  # a label that is unknown
            continue
        first_row, first_value = first.setdefault(case.patient_id, (row, value))
        if value != first_value:
            where = f"{row.place_of(column)} (case {case.case_id}), column {column!r}"
            required = (
                f"one {attribute} per patient: {first_value!r} as patient {case.patient_id} has in {first_row.place}"
            )
            problems.append(Problem(where=where, required=required, came=repr(value)))
    return problems


def _labels_without_case(mapping: TableMapping, cases: Iterable[Case]) -> list[Problem]:
    seen = {case.label for case in cases}
    where = f"{mapping.table}, column {mapping.label!r}"
    return [
        Problem(where=where, required=f"at least one case with the label {name!r}", came="none")
        for name in mapping.labels
        if name not in seen
    ]


def _no_second_mask(mapping: TableMapping, cases: Sequence[Case]) -> list[Problem]:
    if mapping.second_mask is None or not cases or any(case.second_mask is not None for case in cases):
        return []
    came = f"none for {mapping.second_mask.template!r}"
    return [Problem(where="cohort.second_mask", required="a file for at least one case", came=came)]


def _one_label_per_patient(cases: Sequence[Case]) -> list[Case]:
    """Unlabel the patients of whom some cases are labeled and some are not."""
    unclear = {case.patient_id for case in cases if case.label is None}
    return [replace(case, label=None) if case.patient_id in unclear else case for case in cases]
