"""A figure with its confidence interval and the number of patients behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and how sure it is.

    Attributes:
        value: The point estimate; NaN where the data define none.
        ci_low, ci_high: Limits of the confidence interval; NaN where there is none.
        n: Patients the figure rests on (for sensitivity, those with the positive label; and so on).
    """

    value: float
    ci_low: float
    ci_high: float
    n: int

    def as_json(self) -> dict[str, float | int | None]:
        """Plain mapping with None for NaN, which JSON does not know."""
        figures = {"value": self.value, "ci_low": self.ci_low, "ci_high": self.ci_high}
        return {name: None if math.isnan(figure) else float(figure) for name, figure in figures.items()} | {"n": self.n}


def undefined(n: int) -> Estimate:
    """What the data do not define, e.g. the AUC of patients who all have one label."""
    return Estimate(value=math.nan, ci_low=math.nan, ci_high=math.nan, n=n)
