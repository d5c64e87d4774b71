from typing import Any

import pytest

from fusion.cohorts.values import ColumnFormat, parse_value
from fusion.records import ClinicalColumn, Kind


def layout(kind: Kind, **given: Any) -> ColumnFormat:
    column = ClinicalColumn(name="X", kind=kind, unit=given.pop("unit", None), levels=given.pop("levels", ()))
    return ColumnFormat(column=column, **{"separator": None, "empty": (), "yes": (), "no": ()} | given)


SIGNS = layout("set", separator="&| - ", empty=("no", "none"))
HALO = layout("yes_no", yes=("yes", "1"), no=("no",))
BIRADS = layout("ordered", levels=("3", "4a", "4b"))


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("57", layout("number"), 57.0),
        (" -.5e1 ", layout("number"), -5.0),
        ("oval ", layout("category"), "oval"),
        ("4A", BIRADS, "4a"),
        ("not circumscribed - angular&indistinct", SIGNS, frozenset({"not circumscribed", "angular", "indistinct"})),
        ("a& b &", SIGNS, frozenset({"a", "b"})),
        ("No", SIGNS, frozenset()),
        ("post-op", SIGNS, frozenset({"post-op"})),
        ("a/b", layout("set", separator="(/|,)"), frozenset({"a", "b"})),
        ("YES", HALO, 1.0),
        ("no", HALO, 0.0),
    ],
)
def test_a_cell_is_read_by_its_kind(text: str, form: ColumnFormat, value: object) -> None:
    assert parse_value(text, form) == value


@pytest.mark.parametrize(
    "text", ["abc", "3,5", "nan", "NaN", "inf", "-Infinity", "1e999", "1_000", "5 years", "٣", "0x10"]
)
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a number with a decimal point \(years\)$"):
        parse_value(text, layout("number", unit="years"))


def test_a_value_outside_the_levels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^one of '3', '4a', '4b'$"):
        parse_value("4", BIRADS)


def test_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^yes \('yes', '1'\) or no \('no'\)$"):
        parse_value("perhaps", HALO)


def test_the_empty_word_beside_other_members_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^either 'no', 'none' alone or other members$"):
        parse_value("no&palpable", SIGNS)
