from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet

from fusion.cohorts.sheet import Sheet, join_sheets, read_sheet
from fusion.errors import InputError


def write_excel(path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    page.append(["ID", "Age", "Score", "Note"])
    page.append([7, 57.0, 5, None])
    page.append([12, 0.5, "4a", "  x "])
    page["A2"].number_format = page["A3"].number_format = "000"
    book.create_sheet("other").append(["ID", "B"])
    book["other"].append([True, "b"])
    book.save(path)


def write_parquet(path: Path) -> None:
    columns = {"ID": ["007", "012"], "Age": [57.0, 0.5], "Score": ["5", "4a"], "Note": [None, "  x "]}
    parquet.write_table(pa.table(columns), path)


def text_writer(text: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(text.encode(encoding))

    return write


WRITERS = {
    "a.csv": text_writer("ID,Age,Score,Note\n007,57,5,\n012,0.5,4a,  x \n"),
    "semicolon.csv": text_writer('ID;Age;Score;Note\r\n007;57;5;""\r\n012;0.5;4a;x\r\n', "utf-8-sig"),
    "a.TSV": text_writer("ID\tAge\tScore\tNote\n007\t57\t5\t\n012\t0.5\t4a\tx\n"),
    "a.xlsx": write_excel,
    "a.parquet": write_parquet,
}


@pytest.mark.parametrize("file", WRITERS)
def test_every_format_gives_the_text_that_a_person_sees(file: str, tmp_path: Path) -> None:
    WRITERS[file](tmp_path / file)
    sheet = read_sheet(tmp_path, file, None)
    assert sheet.columns == ("ID", "Age", "Score", "Note")
    assert [dict(row.cells) for row in sheet.rows] == [
        {"ID": "007", "Age": "57", "Score": "5", "Note": ""},
        {"ID": "012", "Age": "0.5", "Score": "4a", "Note": "x"},
    ]


@pytest.mark.parametrize("page", ["other", 1])
def test_a_sheet_is_chosen_by_name_or_number(page: str | int, tmp_path: Path) -> None:
    write_excel(tmp_path / "a.xlsx")
    assert [dict(row.cells) for row in read_sheet(tmp_path, "a.xlsx", page).rows] == [{"ID": "true", "B": "b"}]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("third", r"a\.xlsx: required the sheet 'third', came only \['Sheet', 'other'\]"),
        (2, r"a\.xlsx: required a sheet number 2 \(counted from 0\), came only 2 sheets"),
    ],
)
def test_a_sheet_that_is_not_there_is_reported(page: str | int, message: str, tmp_path: Path) -> None:
    write_excel(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match=message):
        read_sheet(tmp_path, "a.xlsx", page)


def test_rows_are_counted_as_a_person_sees_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('ID,Note\n1,"two\nlines"\n\n,\n2,b\n')
    assert [row.place for row in read_sheet(tmp_path, "a.csv", None).rows] == ["a.csv, row 2", "a.csv, row 5"]


def test_a_repeated_column_is_known_and_its_first_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ID,Age,Age\n1,2,3\n")
    sheet = read_sheet(tmp_path, "a.csv", None)
    assert sheet.repeated == {"Age"}
    assert sheet.rows[0].cell("Age") == "2"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.csv", None, r"a\.csv: required the table .*a\.csv, came no such file"),
        ("a.doc", b"x", r"a\.doc: required a table ending in \.csv, \.tsv, \.xlsx, \.parquet, came the ending '\.doc'"),
        ("a.csv", b"", r"a\.csv: required column names in row 1, came none"),
        ("a.csv", b"ID,Age\n1,2\n2,3,4\n", r"a\.csv, row 3: required 2 cells as in row 1, came 3"),
        ("a.csv", b"ID,Age\n1\n", r"a\.csv, row 2: required 2 cells as in row 1, came 1"),
        ("a.csv", "ID\nMüller".encode("latin-1"), r"a\.csv: required a readable \.csv table, came UnicodeDecodeError"),
        ("a.xlsx", b"no zip", r"a\.xlsx: required a readable \.xlsx table, came BadZipFile"),
        ("a.parquet", b"no parquet", r"a\.parquet: required a readable \.parquet table, came ArrowInvalid"),
    ],
)
def test_a_table_that_cannot_be_read_is_reported(
    file: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_sheet(tmp_path, file, None)


def sheets(tmp_path: Path, main: str, other: str) -> tuple[Sheet, Sheet]:
    (tmp_path / "main.csv").write_text(main)
    (tmp_path / "folds.csv").write_text(other)
    return read_sheet(tmp_path, "main.csv", None), read_sheet(tmp_path, "folds.csv", None)


def test_a_join_adds_columns_and_keeps_where_they_come_from(tmp_path: Path) -> None:
    main, other = sheets(tmp_path, "ID,A\n1,x\n2,y\n", "ID,Fold\n9,1\n2,3\n")
    joined, problems = join_sheets(main, other, "ID", ["Fold"])
    assert problems == []
    assert joined.columns == ("ID", "A", "Fold")
    assert [row.cell("Fold") for row in joined.rows] == ["", "3"]
    assert [row.place_of("Fold") for row in joined.rows] == ["main.csv, row 2", "folds.csv, row 3"]
    assert joined.rows[1].place_of("A") == "main.csv, row 3"


def test_joined_tables_agree_on_the_columns_that_are_used(tmp_path: Path) -> None:
    main, other = sheets(tmp_path, "ID,A,B,C\n1,x,u,z\n", "ID,A,B,C\n1,y,v,z\n")
    joined, problems = join_sheets(main, other, "ID", ["A", "C"])
    assert [str(problem) for problem in problems] == [
        "folds.csv, row 2, column 'A': required 'x' as in main.csv, row 2, came 'y'"
    ]
    assert joined.rows[0].cell("B") == "u"


def test_a_join_that_is_not_clear_is_reported(tmp_path: Path) -> None:
    main, other = sheets(tmp_path, "ID\n1\n", "ID,Fold\n1,2\n1,3\n,3\n")
    assert [str(problem) for problem in join_sheets(main, other, "ID", ["Fold"])[1]] == [
        "folds.csv, row 3: required every value of 'ID' once, to join by, came '1' again (first in folds.csv, row 2)",
        "folds.csv, row 4: required a value in column 'ID' to join by, came an empty cell",
    ]
    assert [str(problem) for problem in join_sheets(main, other, "Fold", [])[1]] == [
        "main.csv: required the column 'Fold' to join by, came no such column"
    ]
