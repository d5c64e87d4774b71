"""The text of a clinical cell → its value, by the kind of its column."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fusion.records import ClinicalColumn, Kind, Value

# Python's own float() also takes "1_000", "nan" and "inf".
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ColumnFormat:
    """How a clinical column is written in the table.

    Attributes:
        column: What it becomes.
        separator: Regular expression between the members of a set; None for the other kinds.
        empty: Words, normalized, that mean the empty set.
        yes: Words, normalized, that mean 1.0 in a yes/no column.
        no: Words, normalized, that mean 0.0 in a yes/no column.
    """

    column: ClinicalColumn
    separator: str | None
    empty: tuple[str, ...]
    yes: tuple[str, ...]
    no: tuple[str, ...]


def normalized(word: str) -> str:
    """The form in which the words of a mapping and the cells of a table are compared."""
    return word.strip().casefold()


def parse_value(text: str, layout: ColumnFormat) -> Value:
    """The value of a cell that is not missing.

    Raises:
        ValueError: If the text does not suit the kind; the message is what was required.
    """
    return _PARSERS[layout.column.kind](text.strip(), layout)


def _number(text: str, layout: ColumnFormat) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        unit = f" ({layout.column.unit})" if layout.column.unit else ""
        raise ValueError(f"a number with a decimal point{unit}")
    return value


def _category(text: str, layout: ColumnFormat) -> str:  # noqa: ARG001 -- one signature for all kinds
    return text


def _ordered(text: str, layout: ColumnFormat) -> str:
    levels = {normalized(level): level for level in layout.column.levels}
    if normalized(text) not in levels:
        raise ValueError(f"one of {quoted(layout.column.levels)}")
    return levels[normalized(text)]


def _set(text: str, layout: ColumnFormat) -> frozenset[str]:
    if normalized(text) in layout.empty:
        return frozenset()
    # re.split would add the groups of the expression to the members.
    cuts = [match.span() for match in re.finditer(layout.separator or "", text) if match.group()]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(text)]
    members = frozenset(text[start:end].strip() for start, end in zip(starts, ends, strict=True)) - {""}
    if any(normalized(member) in layout.empty for member in members):
        raise ValueError(f"either {quoted(layout.empty)} alone or other members")
    return members


def _yes_no(text: str, layout: ColumnFormat) -> float:
    word = normalized(text)
    if word not in (*layout.yes, *layout.no):
        raise ValueError(f"yes ({quoted(layout.yes)}) or no ({quoted(layout.no)})")
    return float(word in layout.yes)


def quoted(words: tuple[str, ...]) -> str:
    """Words for a message: ``'a', 'b'``."""
    return ", ".join(repr(word) for word in words)


_PARSERS: Mapping[Kind, Callable[[str, ColumnFormat], Value]] = {
    "number": _number,
    "category": _category,
    "ordered": _ordered,
    "set": _set,
    "yes_no": _yes_no,
}
