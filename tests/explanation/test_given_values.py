from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fusion.explanation.given_values import beside, read_columns, read_encoded, read_features, read_numbers
from fusion.records import Case, ClinicalColumn, FeatureTable, Kind
from fusion.tabular.clinical import ClinicalEncoder

KINDS: Mapping[str, Kind] = {
    "age": "number",
    "pain": "yes_no",
    "shape": "category",
    "edge": "ordered",
    "signs": "set",
}
ROWS: list[dict[str, Any]] = [
    {"age": 54.0, "pain": 1.0, "shape": "oval", "edge": "clear", "signs": frozenset({"lump", "ache"})},
    {"age": 0.1, "pain": 0.0, "shape": "round", "edge": "blurred", "signs": frozenset()},
    {"age": None, "pain": None, "shape": None, "edge": "clear", "signs": None},
    {},
]


def case(number: int, clinical: Mapping[str, Any]) -> Case:
    return Case(
        case_id=f"case {number}",
        patient_id=f"{number}",
        center="A",
        image=None,
        mask=None,
        label=None,
        clinical=clinical,
    )


CASES = [case(number, row) for number, row in enumerate(ROWS)]
COLUMNS = [
    ClinicalColumn(name=name, kind=kind, levels=("clear", "blurred") if kind == "ordered" else ())
    for name, kind in KINDS.items()
]
ENCODER = ClinicalEncoder.fit(COLUMNS, CASES, clip=5.0)


def test_a_column_is_read_as_the_cohorts_table_has_it() -> None:
    assert read_columns(ENCODER.columns, CASES).tolist() == [
        ["54", "yes", "oval", "clear", "ache & lump"],
        # No member is a value, and no missing one.
        ["0.1", "no", "round", "blurred", "none"],
        ["", "", "", "clear", ""],
        ["", "", "", "", ""],
    ]


def test_a_level_that_training_never_saw_keeps_its_name() -> None:
    assert read_columns(ENCODER.columns, [case(9, {"shape": "taller than wide"})])[0, 2] == "taller than wide"
    encoded = dict(zip(ENCODER.inputs, read_encoded(ENCODER.columns, [case(9, {"shape": "tall"})])[0], strict=True))
    assert (encoded["shape=oval"], encoded["shape=round"], encoded["shape=missing"]) == ("no", "no", "no")


def test_an_encoded_input_says_whether_the_level_is_the_cases() -> None:
    first, second, third, bare = read_encoded(ENCODER.columns, CASES).tolist()
    assert len(first) == len(ENCODER.inputs)
    expected = {
        "age": ("54", "0.1", ""),
        "age=missing": ("no", "no", "yes"),
        "pain": ("yes", "no", ""),
        "shape=oval": ("yes", "no", ""),
        "shape=missing": ("no", "no", "yes"),
        "edge": ("clear", "blurred", "clear"),
        "signs=ache": ("yes", "no", ""),
        "signs=missing": ("no", "no", "yes"),
    }
    for name, texts in expected.items():
        place = ENCODER.inputs.index(name)
        assert (first[place], second[place], third[place]) == texts, name
    # Nothing of it was encoded, whatever the encoder would make of it.
    assert set(bare) == {""}


def test_features_are_those_of_the_case_before_any_scaling() -> None:
    features = FeatureTable(
        case_ids=("case 1", "case 0"), names=("a", "b"), values=np.array([[1e12, np.nan], [-0.25, np.inf]])
    )
    assert read_features(["b", "a"], features, CASES[:3]).tolist() == [["", "-0.25"], ["", "1000000000000"], ["", ""]]


def test_features_that_no_case_has_need_no_table() -> None:
    none = FeatureTable(case_ids=(), names=(), values=np.zeros((0, 0)))
    assert read_features(["a"], none, CASES[:2]).tolist() == [[""], [""]]


@pytest.mark.parametrize("n_cases", [0, 2])
def test_blocks_stand_beside_each_other_with_their_scales(n_cases: int) -> None:
    numbers = read_numbers(np.full((n_cases, 2), 0.5))
    given = beside([("extracted", numbers), ("table", read_columns(ENCODER.columns[:1], CASES[:n_cases]))], n_cases)
    assert given.scales == ("extracted", "extracted", "table")
    assert given.texts.tolist() == [["0.5", "0.5", "54"], ["0.5", "0.5", "0.1"]][:n_cases]
    assert given.texts.shape == (n_cases, 3)
    assert beside([], n_cases).texts.shape == (n_cases, 0)
