"""The score of METRICS, as its official calculator computes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Score:
    """A weighted share of the items that apply.

    Attributes:
        percent: With every open item counted as not met, as the official calculator does; 0 to 100, higher is better.
        at_most: With every open item counted as met.
        n_met, n_not_met, n_open, n_without: Items that are met, not met, open, and left out since they do not apply.
    """

    percent: float
    at_most: float
    n_met: int
    n_not_met: int
    n_open: int
    n_without: int

    def as_json(self) -> dict[str, Any]:
        """Plain content, percentages to one digit."""
        return asdict(self) | {"percent": round(self.percent, 1), "at_most": round(self.at_most, 1)}


def score_items(items: Iterable[tuple[float, bool, bool | None]]) -> Score:
    """100 times the weights of the items that are met over those of the items that apply.

    Kocak et al., Insights into Imaging 2024;15:8; the calculator is METRICS Tool v1.0.

    Args:
        items: Weight, whether it applies, whether it is met (None: open); at least one that applies.
    """
    every = list(items)
    applying = [(weight, met) for weight, applies, met in every if applies]
    whole = sum(weight for weight, _ in applying)
    sure, possible = (sum(weight for weight, met in applying if counts(met)) for counts in (_is_met, _may_be_met))
    return Score(
        percent=100 * sure / whole,
        at_most=100 * possible / whole,
        n_met=sum(met is True for _, met in applying),
        n_not_met=sum(met is False for _, met in applying),
        n_open=sum(met is None for _, met in applying),
        n_without=len(every) - len(applying),
    )


def _is_met(met: bool | None) -> bool:
    return met is True


def _may_be_met(met: bool | None) -> bool:
    return met is not False
