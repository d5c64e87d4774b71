"""A table file of any kind → rows of text, each knowing where a person finds it."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion.errors import InputError, Problem

_DELIMITERS = ",;\t"
_ADVICE = "Save the table as CSV (UTF-8), TSV, XLSX or Parquet, with the column names in its first row."


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        place: File and row as a person sees it: the header is row 1.
        cells: Stripped text by column; an empty cell is "".
        joined: The rows of further tables that belong to it.
    """

    place: str
    cells: Mapping[str, str]
    joined: tuple[Row, ...] = ()

    def cell(self, column: str) -> str:
        """Text of a column, "" where a further table has no row for this one."""
        return self._holder(column).cells.get(column, "")

    def place_of(self, column: str) -> str:
        """File and row that hold the column."""
        return self._holder(column).place

    def _holder(self, column: str) -> Row:
        if column in self.cells:
            return self
        return next((row for row in self.joined if column in row.cells), self)


@dataclass(frozen=True)
class Sheet:
    """A table file.

    Attributes:
        file: As named in the mapping.
        columns: Named columns, further tables' included.
        repeated: Names that stand more than once in the header; only the first of them is read.
        rows: Those with any text.
    """

    file: str
    columns: tuple[str, ...]
    repeated: frozenset[str]
    rows: tuple[Row, ...]


def read_sheet(root: Path, file: str, sheet: str | int | None) -> Sheet:
    """Read a CSV, TSV, XLSX or Parquet file, every cell as the text that a person sees.

    Args:
        root: Folder of the cohort.
        file: Path of the table relative to it.
        sheet: Name, or number from 0, of a sheet of an Excel file; None for its first.

    Raises:
        InputError: If the file is absent, of another kind, unreadable, or has rows longer or shorter than its header.
    """
    path = root / file
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise _refused(file, f"a table ending in {', '.join(_READERS)}", f"the ending {path.suffix!r}")
    if not path.is_file():
        raise _refused(file, f"the table {path}", "no such file")
    try:
        lines = [[cell.strip() for cell in line] for line in read(path, sheet)]
    except InputError:
        raise
    except Exception as error:  # each library has its own exceptions for a damaged file
        raise _refused(file, f"a readable {path.suffix} table", f"{type(error).__name__}: {error}") from error
    return _sheet(file, lines)


def join_sheets(main: Sheet, other: Sheet, by: str, used: Iterable[str]) -> tuple[Sheet, list[Problem]]:
    """Add the columns of ``other`` to the rows of ``main`` that have the same value in column ``by``.

    Rows of ``other`` without a partner are left out; rows of ``main`` without one have empty cells there. Where both
    tables have a column that is used, they must agree.
    """
    lacking = [
        _problem(table.file, f"the column {by!r} to join by", "no such column")
        for table in (main, other)
        if by not in table.columns
    ]
    if lacking:
        return main, lacking
    partners, problems = _index(other, by)
    shared = (set(main.columns) & set(other.columns) & set(used)) - {by}
    rows = []
    for row in main.rows:
        partner = partners.get(row.cell(by)) if row.cell(by) else None
        problems += [] if partner is None else _disagreements(row, partner, sorted(shared))
        rows.append(row if partner is None else Row(row.place, row.cells, (*row.joined, partner)))
    added = tuple(column for column in other.columns if column not in main.columns)
    return Sheet(main.file, main.columns + added, main.repeated | other.repeated, tuple(rows)), problems


def _index(sheet: Sheet, by: str) -> tuple[dict[str, Row], list[Problem]]:
    index: dict[str, Row] = {}
    problems = []
    for row in sheet.rows:
        first = index.setdefault(row.cell(by), row)
        if not row.cell(by):
            problems.append(_problem(row.place, f"a value in column {by!r} to join by", "an empty cell"))
        elif first is not row:
            came = f"{row.cell(by)!r} again (first in {first.place})"
            problems.append(_problem(row.place, f"every value of {by!r} once, to join by", came))
    return index, problems


def _disagreements(row: Row, partner: Row, columns: Sequence[str]) -> list[Problem]:
    return [
        _problem(
            f"{partner.place}, column {column!r}",
            f"{row.cell(column)!r} as in {row.place_of(column)}",
            repr(partner.cell(column)),
        )
        for column in columns
        if row.cell(column) != partner.cell(column)
    ]


def _sheet(file: str, lines: Sequence[Sequence[str]]) -> Sheet:
    header = lines[0] if lines else []
    columns = tuple(dict.fromkeys(name for name in header if name))
    if not columns:
        raise _refused(file, "column names in row 1", "none")
    ragged = [
        _problem(f"{file}, row {number}", f"{len(header)} cells as in row 1", f"{len(line)}")
        for number, line in enumerate(lines, start=1)
        if len(line) != len(header) and any(line)
    ]
    if ragged:
        raise InputError(f"Table {file}", ragged, "A cell that holds the delimiter needs quotation marks around it.")
    # Reversed, so that the first of two columns of one name is read.
    rows = tuple(
        Row(f"{file}, row {number}", dict(zip(reversed(header), reversed(line), strict=True)))
        for number, line in enumerate(lines[1:], start=2)
        if any(line)
    )
    repeated = frozenset(name for name, count in Counter(header).items() if name and count > 1)
    return Sheet(file, columns, repeated, rows)


def _read_text(path: Path, _: str | int | None) -> list[list[str]]:
    text = path.read_bytes().decode("utf-8-sig")
    header = text.partition("\n")[0]
    # European spreadsheets write ";" into a file that they call .csv.
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(_DELIMITERS, key=header.count)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def _read_excel(path: Path, sheet: str | int | None) -> list[list[str]]:
    import openpyxl

    with warnings.catch_warnings():
        # Drop-down lists and the like, which openpyxl cannot keep and which no reader needs.
        warnings.simplefilter("ignore", UserWarning)
        book = openpyxl.load_workbook(path, data_only=True)
    names = book.sheetnames
    if isinstance(sheet, str) and sheet not in names:
        raise _refused(path.name, f"the sheet {sheet!r}", f"only {names}")
    if isinstance(sheet, int) and sheet >= len(names):
        raise _refused(path.name, f"a sheet number {sheet} (counted from 0)", f"only {len(names)} sheets")
    page = book[sheet if isinstance(sheet, str) else names[sheet or 0]]
    return [[_shown(cell.value, cell.number_format) for cell in line] for line in page.iter_rows()]


def _read_parquet(path: Path, _: str | int | None) -> list[list[str]]:
    from pyarrow import parquet

    table = parquet.read_table(path)
    columns = [[_shown(value, "") for value in column.to_pylist()] for column in table.columns]
    return [list(table.column_names), *(list(line) for line in zip(*columns, strict=True))]


def _shown(value: Any, number_format: str) -> str:
    """The text that a person sees: 57 for a stored 57.0, 007 for a 7 that is formatted as 000."""
    if value is None or value != value:  # only NaN and NaT differ from themselves
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and re.fullmatch("0{2,}", number_format):
        return str(value).zfill(len(number_format))
    return str(value)


def _problem(where: str, required: str, came: str) -> Problem:
    return Problem(where=where, required=required, came=came)


def _refused(file: str, required: str, came: str) -> InputError:
    return InputError(f"Table {file}", [_problem(file, required, came)], _ADVICE)


_READERS: Mapping[str, Callable[[Path, str | int | None], list[list[str]]]] = {
    ".csv": _read_text,
    ".tsv": _read_text,
    ".xlsx": _read_excel,
    ".parquet": _read_parquet,
}
