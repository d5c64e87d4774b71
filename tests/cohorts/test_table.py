from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion.cohorts.table import read_table
from fusion.errors import InputError
from fusion.records import Cohort

TABLE_YAML = Path(__file__).parents[2] / "conf/cohort/table.yaml"
MAPPING = """
name: small
table: cases.csv
key: ID
patient: MRN
center: Hospital
frame: Frame
fold: Fold
image: "images/{ID}.png"
mask: {template: "masks/{Mask}", replace: {scan_: mask_}}
label: {column: Outcome, names: [benign, malignant]}
missing: [not available]
clinical:
  Age: {kind: number, unit: years}
  Grade: {kind: ordered, levels: [low, high]}
  Signs: {kind: set, separator: "&", empty: ["no"]}
  Halo: {kind: yes_no, yes: ["yes"], no: ["no"]}
banned: [Histology]
reader_score: {column: BIRADS, levels: [3, 4a], as_input: false}
"""
HEADER = "ID,MRN,Hospital,Frame,Fold,Mask,Outcome,Age,Grade,Signs,Halo,Histology,BIRADS"
ROWS = (
    "s1,p1,north,0,1,scan_s1.png,benign,57,low,a&b,yes,x,3",
    "s2,p1,north,,1,,Benign,57,high,no,no,x,3",
    "s3,p2,south,2,2,scan_s3.png,malignant,Not Available,,,,y,4A",
)
Read = Callable[..., Cohort]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes a cohort of three good rows with the given changes, and reads it."""
    for name in ("images/s1.png", "images/s2.png", "images/s3.png", "masks/mask_s1.png", "masks/mask_s3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def write_and_read(
        *rows: str, header: str = HEADER, require_labels: bool = True, mapping: str = "", **files: str
    ) -> Cohort:
        (tmp_path / "cases.csv").write_text("\n".join((header, *(rows or ROWS))) + "\n")
        for stem, text in files.items():
            (tmp_path / f"{stem}.csv").write_text(text)
        config: dict[str, Any] = {"root": str(tmp_path)}
        for text in (TABLE_YAML.read_text(), MAPPING, mapping):
            config = {**config, **(yaml.safe_load(text) or {})} | {"root": str(tmp_path)}
        return read_table(config, require_labels=require_labels)

    return write_and_read


def problems(read: Read, *rows: str, **changes: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(*rows, **changes)
    return [str(problem) for problem in caught.value.problems]


def changed(old: str, new: str) -> tuple[str, ...]:
    """The three rows with a text replaced where it first stands."""
    return tuple("\n".join(ROWS).replace(old, new, 1).split("\n"))


def test_a_table_becomes_a_cohort(read: Read, tmp_path: Path) -> None:
    cohort = read()
    assert (cohort.name, cohort.label_names) == ("small", ("benign", "malignant"))
    assert [column.name for column in cohort.clinical_columns] == ["Age", "Grade", "Signs", "Halo"]
    first, second, third = cohort.cases
    assert (first.case_id, first.patient_id, first.center, first.fold) == ("s1", "p1", "north", "1")
    assert (first.image, first.mask) == (tmp_path / "images/s1.png", tmp_path / "masks/mask_s1.png")
    assert (first.label, first.frame, first.mask_label) == ("benign", 0, None)
    assert first.clinical == {"Age": 57.0, "Grade": "low", "Signs": frozenset({"a", "b"}), "Halo": 1.0}
    assert (second.label, second.mask, second.frame) == ("benign", None, None)
    assert second.clinical["Signs"] == frozenset()
    assert third.clinical == {}


def test_without_columns_a_row_is_a_patient_of_the_one_center(read: Read) -> None:
    cohort = read(mapping="{patient: null, center: null, frame: null, fold: null, mask: null, mask_label: 3}")
    assert [case.patient_id for case in cohort.cases] == ["s1", "s2", "s3"]
    assert {case.center for case in cohort.cases} == {"small"}
    assert {(case.mask, case.frame, case.fold, case.mask_label) for case in cohort.cases} == {(None, None, None, 3)}


def test_the_readers_score_can_be_the_last_input(read: Read) -> None:
    cohort = read(mapping="reader_score: {column: BIRADS, levels: [3, 4a], as_input: true}")
    assert cohort.clinical_columns[-1].name == "BIRADS"
    assert cohort.cases[2].clinical["BIRADS"] == "4a"


def test_the_readers_score_is_known_whether_it_is_an_input_or_not(read: Read) -> None:
    for as_input in ("false", "true"):
        cohort = read(mapping=f"reader_score: {{column: BIRADS, levels: [3, 4a], as_input: {as_input}}}")
        assert (cohort.reader_column, cohort.reader_levels) == ("BIRADS", ("3", "4a"))
        assert [case.reader_score for case in cohort.cases] == ["3", "3", "4a"]
        assert ("BIRADS" in cohort.cases[0].clinical) == (as_input == "true")


def test_a_readers_score_without_levels_is_banned_and_no_more(read: Read) -> None:
    cohort = read(mapping="reader_score: {column: BIRADS, levels: [], as_input: false}")
    assert (cohort.reader_column, cohort.reader_levels) == (None, ())
    assert {case.reader_score for case in cohort.cases} == {None}


def test_an_unknown_score_of_the_reader_is_named_once(read: Read) -> None:
    for as_input in ("false", "true"):
        mapping = f"reader_score: {{column: BIRADS, levels: [3, 4b], as_input: {as_input}}}"
        (problem,) = problems(read, mapping=mapping)
        assert problem == "cases.csv, row 4 (case s3), column 'BIRADS': required one of '3', '4b', came '4A'"


def test_a_table_for_prediction_may_lack_the_readers_score(read: Read) -> None:
    rows = [row.rsplit(",", 1)[0] for row in ROWS]
    assert read(*rows, header=HEADER.removesuffix(",BIRADS"), require_labels=False).reader_column is None


def test_a_second_reader_may_have_outlined_a_part_of_the_cases(read: Read, tmp_path: Path) -> None:
    (tmp_path / "masks/second_s3.png").touch()
    cohort = read(mapping='second_mask: "masks/second_{ID}.png"')
    assert [case.second_mask for case in cohort.cases] == [None, None, tmp_path / "masks/second_s3.png"]


def test_a_second_reader_without_any_file_is_a_mistake(read: Read) -> None:
    (problem,) = problems(read, mapping='second_mask: "masks/second_{ID}.png"')
    assert problem == "cohort.second_mask: required a file for at least one case, came none for 'masks/second_{ID}.png'"


def test_excluded_rows_are_not_even_checked(read: Read) -> None:
    cohort = read(*ROWS, "s4,p4,,x,,,normal,abc,,,,,", mapping="exclude: {Outcome: [Normal]}")
    assert len(cohort.cases) == 3


def test_further_tables_are_joined(read: Read) -> None:
    rows = [row.replace(",1,", ",", 1) if i < 2 else row.replace(",2,2,", ",2,") for i, row in enumerate(ROWS)]
    header = HEADER.replace("Fold,", "")
    join = "join: [{table: folds.csv, by: ID}]"
    cohort = read(*rows, header=header, mapping=join, folds="ID,Fold\ns1,1\ns2,1\ns3,2\n")
    assert [case.fold for case in cohort.cases] == ["1", "1", "2"]
    assert problems(read, *rows, header=header, mapping=join, folds="ID,Fold\ns1,1\ns2,3\n") == [
        "cases.csv, row 4 (case s3), column 'Fold': required a fold of the given split, came an empty cell",
        "folds.csv, row 3 (case s2), column 'Fold': "
        "required one fold per patient: '1' as patient p1 has in cases.csv, row 2, came '3'",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("57", "fifty", "row 2 (case s1), column 'Age': required a number with a decimal point (years), came 'fifty'"),
        ("57", "NaN", "row 2 (case s1), column 'Age': required a number with a decimal point (years), came 'NaN'"),
        ("57", "inf", "row 2 (case s1), column 'Age': required a number with a decimal point (years), came 'inf'"),
        ("low", "middle", "row 2 (case s1), column 'Grade': required one of 'low', 'high', came 'middle'"),
        ("yes", "maybe", "row 2 (case s1), column 'Halo': required yes ('yes') or no ('no'), came 'maybe'"),
        (
            "a&b",
            "a&no",
            "row 2 (case s1), column 'Signs': required either 'no' alone or other members, came 'a&no'",
        ),
        (
            "north,0",
            "north,-1",
            "row 2 (case s1), column 'Frame': required a whole number from 0, the frame of the image, came '-1'",
        ),
        (
            "north,0",
            "north,1.5",
            "row 2 (case s1), column 'Frame': required a whole number from 0, the frame of the image, came '1.5'",
        ),
        (
            "benign",
            "normal",
            "row 2 (case s1), column 'Outcome': required a label out of 'benign', 'malignant', came 'normal'",
        ),
        (
            "benign",
            "",
            "row 2 (case s1), column 'Outcome': required a label out of 'benign', 'malignant', came an empty cell",
        ),
        ("p1", "", "row 2 (case s1), column 'MRN': required a patient, came an empty cell"),
        ("north", "not available", "row 2 (case s1), column 'Hospital': required a center, came 'not available'"),
        ("s1", "", "row 2, column 'ID': required a key, came an empty cell"),
        (
            "s2",
            "s1",
            "row 3, column 'ID': required a key that no other row has, came 's1' again (first in cases.csv, row 2)",
        ),
        (
            "Benign",
            "malignant",
            "row 3 (case s2), column 'Outcome': "
            "required one label per patient: 'benign' as patient p1 has in cases.csv, row 2, came 'malignant'",
        ),
        (
            "s2,p1,north",
            "s2,p1,south",
            "row 3 (case s2), column 'Hospital': "
            "required one center per patient: 'north' as patient p1 has in cases.csv, row 2, came 'south'",
        ),
        (
            "north,,1",
            "north,,2",
            "row 3 (case s2), column 'Fold': "
            "required one fold per patient: '1' as patient p1 has in cases.csv, row 2, came '2'",
        ),
    ],
)
def test_a_bad_cell_is_reported_with_file_row_and_column(read: Read, old: str, new: str, problem: str) -> None:
    assert problems(read, *changed(old, new)) == [f"cases.csv, {problem}"]


def test_files_that_do_not_exist_are_reported(read: Read, tmp_path: Path) -> None:
    (tmp_path / "images/s2.png").unlink()
    (tmp_path / "masks/mask_s3.png").unlink()
    image, mask = tmp_path / "images/s2.png", tmp_path / "masks/mask_s3.png"
    assert problems(read) == [
        f"cases.csv, row 3 (case s2), column 'ID': required the image {image}, came no such file",
        f"cases.csv, row 4 (case s3), column 'Mask': required the mask {mask}, came no such file",
    ]


def test_an_optional_mask_may_be_absent_but_an_image_never(read: Read, tmp_path: Path) -> None:
    (tmp_path / "masks/mask_s3.png").unlink()
    assert read(mapping="mask_optional: true").cases[2].mask is None
    (tmp_path / "images/s2.png").unlink()
    assert len(problems(read, mapping="mask_optional: true")) == 1


def test_missing_columns_are_reported_with_the_closest(read: Read) -> None:
    header = HEADER.replace("Age", "age").replace("Outcome", "Outcomes").replace("Histology", "X")
    assert problems(read, header=header) == [
        "cases.csv, row 1: required the column 'Age' (cohort.clinical), came no such column (closest: 'age')",
        "cases.csv, row 1: required the column 'Histology' (cohort.banned), came no such column (available: "
        "'ID', 'MRN', 'Hospital', 'Frame', 'Fold', 'Mask', 'Outcomes', 'age', 'Grade', 'Signs', 'Halo', 'X', 'BIRADS')",
        "cases.csv, row 1: required the column 'Outcome' (cohort.label.column), "
        "came no such column (closest: 'Outcomes')",
    ]


def test_a_missing_key_column_is_reported_with_all_that_needs_it(read: Read) -> None:
    assert problems(read, header=HEADER.replace("ID", "Id", 1)) == [
        "cases.csv, row 1: required the column 'ID' (cohort.key, cohort.image), came no such column (closest: 'Id')"
    ]


def test_a_column_that_is_used_may_not_stand_there_twice(read: Read) -> None:
    assert problems(
        read,
        header=HEADER.replace("Grade", "Age"),
        mapping="clinical: {Age: {kind: category}}",
    ) == ["cases.csv, row 1: required one column 'Age', came several"]


def test_a_label_without_a_case_is_reported(read: Read) -> None:
    assert problems(read, *ROWS[:2]) == [
        "cases.csv, column 'Outcome': required at least one case with the label 'malignant', came none"
    ]
    assert read(*ROWS[:2], require_labels=False).label_names == ("benign", "malignant")


def test_a_table_without_rows_is_reported(read: Read) -> None:
    assert problems(read, ",,,,,,,,,,,,") == ["cases.csv: required at least one row that is not excluded, came none"]


def test_a_root_that_is_no_folder_is_reported(tmp_path: Path) -> None:
    config = {**yaml.safe_load(TABLE_YAML.read_text()), **yaml.safe_load(MAPPING), "root": str(tmp_path / "no")}
    with pytest.raises(InputError, match=r"cohort\.root: required the folder of the cohort, came .*/no, which is none"):
        read_table(config, require_labels=True)


def test_the_problems_of_mapping_table_and_files_come_in_one_error(read: Read, tmp_path: Path) -> None:
    (tmp_path / "images/s2.png").unlink()
    found = problems(
        read,
        *changed("57", "fifty")[:2],
        "s3,p2,south,2,2,scan_s3.png,normal,,,,,y,4A",
        mapping="{Banned: [], banned: [Histology, Grade]}",
    )
    assert [problem.split(":")[0] for problem in found] == [
        "cohort.Banned",
        "cohort.clinical",
        "cases.csv, row 2 (case s1), column 'Age'",
        "cases.csv, row 3 (case s2), column 'ID'",
        "cases.csv, row 4 (case s3), column 'Outcome'",
        "cases.csv, column 'Outcome'",
    ]


def test_a_table_file_that_is_not_there_comes_with_the_problems_of_the_mapping(read: Read) -> None:
    found = problems(read, mapping="{table: case.csv, banned: [Histology, Age]}")
    assert [problem.split(":")[0] for problem in found] == ["cohort.clinical", "case.csv"]


PREDICTION_HEADER = "ID,MRN,Hospital,Frame,Mask,Age"


def test_prediction_does_without_labels_and_clinical_columns(read: Read) -> None:
    rows = ("s1,p1,north,0,scan_s1.png,57", "s2,p1,north,,,", "s3,p2,east,,,not available")
    cohort = read(*rows, header=PREDICTION_HEADER, require_labels=False, mapping="exclude: {Outcome: [normal]}")
    assert [column.name for column in cohort.clinical_columns] == ["Age"]
    assert [case.clinical for case in cohort.cases] == [{"Age": 57.0}, {}, {}]
    assert {(case.label, case.fold) for case in cohort.cases} == {(None, None)}


def test_prediction_takes_an_empty_or_unknown_label_as_none(read: Read) -> None:
    rows = (*ROWS[:2], ROWS[2].replace("malignant", "normal"), "s4,p3,south,,,,,,,,,,")
    mapping = '{image: {template: "masks/{Mask}", replace: {scan_: mask_}}, mask: null}'
    cohort = read(*rows, require_labels=False, mapping=mapping)
    assert [case.label for case in cohort.cases] == ["benign", "benign", None, None]


def test_prediction_unlabels_a_patient_whose_cases_do_not_all_have_the_label(read: Read) -> None:
    cohort = read(*changed("Benign", ""), require_labels=False)
    assert [case.label for case in cohort.cases] == [None, None, "malignant"]


def test_prediction_still_refuses_what_is_wrong(read: Read) -> None:
    assert problems(read, *changed("57", "fifty"), require_labels=False) == [
        "cases.csv, row 2 (case s1), column 'Age': required a number with a decimal point (years), came 'fifty'"
    ]
    assert len(problems(read, *changed("Benign", "malignant"), require_labels=False)) == 1
