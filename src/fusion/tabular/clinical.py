"""Clinical preprocessing, fitted on the training part only: impute with indicators, encode by kind, scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError
from fusion.records import Case, ClinicalColumn, Kind, Value

MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class ColumnEncoder:
    """Fitted encoding of one clinical column.

    Attributes:
        name, kind: Of the column.
        levels: Of a category: seen in training, sorted; of a set: its elements; of an ordered column: low to high.
        center, scale: Training mean and standard deviation of a number, a yes/no or an ordered column's rank. The scale
            is 0 where training knew one value only: no other value means anything then, and the input stays 0.
        indicator: Whether training had missing values: then one more input says where they are.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...]
    center: float
    scale: float
    indicator: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that the column becomes."""
        flag = (f"{self.name}={MISSING}",) if self.indicator else ()
        if self.kind in ("category", "set"):
            return (*(f"{self.name}={level}" for level in self.levels), *flag)
        return (self.name, *flag)


@dataclass(frozen=True, kw_only=True)
class ClinicalEncoder:
    """Fitted encoding of a clinical row as numbers.

    A category becomes one input a level, which the network multiplies with one vector a level: an embedding that stays
    differentiable in its input. A level never seen in training sets none of them.

    Attributes:
        columns: In the cohort's order.
        clip: Bound of standardized values, in standard deviations.
    """

    columns: tuple[ColumnEncoder, ...]
    clip: float

    @classmethod
    def fit(cls, columns: Sequence[ClinicalColumn], cases: Sequence[Case], *, clip: float) -> Self:
        """Fit on ``cases``: they must be the training part's and nobody else's. Constant columns are dropped."""
        rows = [case for case in cases if case.clinical]
        fitted = (_fit_column(column, [row.clinical.get(column.name) for row in rows]) for column in columns)
        return cls(columns=tuple(column for column in fitted if column is not None), clip=clip)

    @property
    def inputs(self) -> tuple[str, ...]:
        """(D,) names of the encoded inputs, e.g. ``age`` or ``shape=oval``."""
        return tuple(name for column in self.columns for name in column.inputs)

    @property
    def groups(self) -> tuple[tuple[str, str, int], ...]:
        """Name, kind and number of inputs of each column, in order."""
        return tuple((column.name, column.kind, len(column.inputs)) for column in self.columns)

    def transform(self, cases: Sequence[Case]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode cases.

        Returns:
            (N, D) inputs, and (N,) whether the case has any clinical value that the encoder knows.

        Raises:
            FusionError: For an ordered value that is none of the column's levels in training.
        """
        values = np.zeros((len(cases), len(self.inputs)), dtype=np.float32)
        for row, case in enumerate(cases):
            encoded = [_encode(column, case.clinical.get(column.name), self.clip) for column in self.columns]
            values[row] = [number for numbers in encoded for number in numbers]
        known = [any(case.clinical.get(column.name) is not None for column in self.columns) for case in cases]
        return values, np.array(known, dtype=bool)

    def state(self) -> dict[str, Any]:
        """Plain content for a checkpoint."""
        return {
            "columns": [asdict(column) | {"levels": list(column.levels)} for column in self.columns],
            "clip": self.clip,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The encoder that gave ``state``."""
        columns = (ColumnEncoder(**(column | {"levels": tuple(column["levels"])})) for column in state["columns"])
        return cls(columns=tuple(columns), clip=state["clip"])


def _fit_column(column: ClinicalColumn, values: Sequence[Value]) -> ColumnEncoder | None:
    known = [value for value in values if value is not None]
    indicator = 0 < len(known) < len(values)
    levels = _LEVELS[column.kind](column, known)
    # Counted, since the computed deviation of equal numbers need not be 0: that of three times 0.1 is 1e-17.
    constant = len(set(known)) < 2
    if constant and not indicator:
        return None
    ranks = [] if column.kind in ("category", "set") else [_rank(column, levels, value) for value in known]
    center = float(np.mean(ranks)) if ranks else 0.0
    scale = float(np.std(ranks)) if ranks and not constant else 0.0
    return ColumnEncoder(
        name=column.name, kind=column.kind, levels=levels, center=center, scale=scale, indicator=indicator
    )


def _rank(column: ClinicalColumn | ColumnEncoder, levels: Sequence[str], value: Any) -> float:
    if column.kind != "ordered":
        return float(value)
    if value not in levels:
        raise FusionError(
            f"clinical column {column.name!r}: required one of the levels of training, {', '.join(levels)}, came "
            f"{value!r}; describe the column as the training cohort's mapping does, or leave it out"
        )
    return float(levels.index(value))


def _encode(column: ColumnEncoder, value: Value, clip: float) -> list[float]:
    flag = [float(value is None)] if column.indicator else []
    if column.kind == "category":
        return [*(float(value == level) for level in column.levels), *flag]
    if column.kind == "set":
        present = value if isinstance(value, frozenset) else frozenset()
        return [*(float(level in present) for level in column.levels), *flag]
    if value is None or column.scale == 0:
        return [0.0, *flag]  # The training mean.
    standardized = (_rank(column, column.levels, value) - column.center) / column.scale
    return [float(np.clip(standardized, -clip, clip)), *flag]


# One signature for all kinds, whichever of the two an entry needs.
_LEVELS: dict[Kind, Callable[[ClinicalColumn, Sequence[Any]], tuple[str, ...]]] = {
    "number": lambda column, known: (),  # noqa: ARG005
    "yes_no": lambda column, known: (),  # noqa: ARG005
    "ordered": lambda column, known: column.levels,  # noqa: ARG005
    "category": lambda column, known: tuple(sorted(set(known))),  # noqa: ARG005
    "set": lambda column, known: tuple(sorted(frozenset().union(*known))),  # noqa: ARG005
}
