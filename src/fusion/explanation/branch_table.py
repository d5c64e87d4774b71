"""The table of what the branches did to each prediction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fusion.explanation.coalitions import Floats
from fusion.runs.model import BRANCH_OF
from fusion.runs.tables import write_rows

# As of fusion.models.branches, which imports torch, and whoever reads this table need not.
BRANCHES = tuple(dict.fromkeys(BRANCH_OF.values()))
PAIRS = tuple(itertools.combinations(BRANCHES, 2))
_HEADER = (
    *("case_id", "fold", "probability", "base"),
    *BRANCHES,
    *("_".join(pair) for pair in PAIRS),
    *(f"gate_{branch}" for branch in BRANCHES),
    *("largest_gate", "largest_value", "agree"),
)


@dataclass(frozen=True, kw_only=True)
class BranchValues:
    """How far each branch moved the calibrated probability of the positive label, of N cases.

    Attributes:
        case_ids: (N,)
        probabilities: (N,) as reported.
        base: Where nothing is known of a patient: the share of the positive label among the training patients.
        values: (N, 3) Shapley values in the order of ``BRANCHES``, signed towards the positive label; NaN for a branch
            that the case or the model lacks. Those of a case sum to its probability less ``base``.
        interactions: (N, 3) in the order of ``PAIRS``: above 0 where two branches push further towards the positive
            label together than each by itself; NaN where one of them is lacking.
        gates: (N, 3) weights that the network gave the branches, of the case's branches summing to 1; NaN for a branch
            that is lacking, or where the model has no gates.
    """

    case_ids: tuple[str, ...]
    probabilities: Floats
    base: float
    values: Floats
    interactions: Floats = field(repr=False)
    gates: Floats = field(repr=False)


def write_branch_values(path: Path, table: BranchValues, fold: int) -> None:
    """Write ``shapley.csv`` of a fold: a row per case.

    ``agree`` says whether the branch with the largest gate is the one with the largest absolute value; it is empty
    where there are no gates, or where fewer than two branches took part and they could not have disagreed.
    """
    write_rows(path, _HEADER, _rows(table, fold))


def _rows(table: BranchValues, fold: int) -> Iterator[tuple[object, ...]]:
    for row, case_id in enumerate(table.case_ids):
        numbers = (*table.values[row], *table.interactions[row], *table.gates[row])
        gate, value = _largest(table.gates[row]), _largest(np.abs(table.values[row]))
        comparable = gate and np.sum(~np.isnan(table.gates[row])) > 1
        agree = ("no", "yes")[gate == value] if comparable else ""
        blank = ("" if math.isnan(number) else float(number) for number in numbers)
        yield case_id, fold, float(table.probabilities[row]), table.base, *blank, gate, value, agree


def _largest(numbers: Floats) -> str:
    """The branch with the largest number; empty where there is none."""
    return "" if np.isnan(numbers).all() else BRANCHES[int(np.nanargmax(numbers))]
