"""What cases themselves had of the inputs of a model, as a person reads it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.explanation.coalitions import Floats
from fusion.records import Case, FeatureTable, Kind, Value
from fusion.tabular.clinical import ColumnEncoder

Scale = Literal["table", "extracted", "standardized", "logit"]
Texts = NDArray[np.str_]


class Given(NamedTuple):
    """What N cases had of F inputs.

    Attributes:
        texts: (N, F) numbers or words; empty where a case has none and the model put something in its place.
        scales: (F,) as the cohort's ``table`` has it; a radiomics feature as it was ``extracted``, before all
            harmonization and scaling; ``standardized``, in training standard deviations; a score, in ``logit``.
    """

    texts: Texts
    scales: tuple[Scale, ...]


def beside(blocks: Sequence[tuple[Scale, Texts]], n_cases: int) -> Given:
    """Blocks of inputs of the same cases, one scale each, as one."""
    texts = [np.zeros((n_cases, 0), dtype=np.str_), *(block for _, block in blocks)]
    return Given(np.concatenate(texts, axis=1), tuple(scale for scale, block in blocks for _ in range(block.shape[1])))


def read_columns(columns: Sequence[ColumnEncoder], cases: Sequence[Case]) -> Texts:
    """(N, columns) of a model that takes a clinical column as one input."""
    rows = [[_text(column.kind, case.clinical.get(column.name)) for column in columns] for case in cases]
    return _texts(rows, len(columns))


def read_encoded(columns: Sequence[ColumnEncoder], cases: Sequence[Case]) -> Texts:
    """(N, ``ClinicalEncoder.inputs``) of a model that takes each encoded number: of a level, whether it is the case's.

    A case of which no column is known has nothing, its missing values neither: no number of it was encoded.
    """
    return _texts([_encoded_row(columns, case) for case in cases], sum(len(column.inputs) for column in columns))


def read_features(names: Sequence[str], features: FeatureTable, cases: Sequence[Case]) -> Texts:
    """(N, names) radiomics features; empty where a case has no row."""
    rows = {case_id: row for row, case_id in enumerate(features.case_ids)}
    position = {name: column for column, name in enumerate(features.names)}
    values = np.full((len(cases), len(names)), np.nan)
    known = [place for place, case in enumerate(cases) if case.case_id in rows]
    if known and names:
        wanted = [rows[cases[place].case_id] for place in known]
        values[known] = features.values[np.ix_(wanted, [position[name] for name in names])]
    return read_numbers(values)


def read_numbers(values: Floats) -> Texts:
    """(N, F) numbers; empty where one is not finite."""
    rows = [[_number(value) if math.isfinite(value) else "" for value in row] for row in values.tolist()]
    return _texts(rows, values.shape[1])


def _encoded_row(columns: Sequence[ColumnEncoder], case: Case) -> list[str]:
    values = [case.clinical.get(column.name) for column in columns]
    if all(value is None for value in values):
        return [""] * sum(len(column.inputs) for column in columns)
    return [text for column, value in zip(columns, values, strict=True) for text in _encoded(column, value)]


def _encoded(column: ColumnEncoder, value: Value) -> list[str]:
    flag = [_yes_no(value is None)] if column.indicator else []
    if column.kind not in ("category", "set"):
        return [_text(column.kind, value), *flag]
    if value is None:
        return [*("" for _ in column.levels), *flag]
    members = value if isinstance(value, frozenset) else {value}
    return [*(_yes_no(level in members) for level in column.levels), *flag]


def _text(kind: Kind, value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, frozenset):
        return " & ".join(sorted(value)) or "none"
    if isinstance(value, str):
        return value
    return _yes_no(bool(value)) if kind == "yes_no" else _number(value)


def _number(value: float) -> str:
    """With every digit, and no more: 54, 0.1."""
    return repr(value).removesuffix(".0")


def _yes_no(answer: bool) -> str:
    return "yes" if answer else "no"


def _texts(rows: Sequence[Sequence[str]], n_inputs: int) -> Texts:
    return np.array(rows, dtype=np.str_).reshape(len(rows), n_inputs)
