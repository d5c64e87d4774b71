"""From where a prediction starts to where it ends, one contribution after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Of the strongest contributions; the others are one step together.
_N_STEPS = 8


class Step(NamedTuple):
    """One bar of a waterfall.

    Attributes:
        name: What contributed.
        code: How the run's tables call it, where that is another name; else empty.
        value: Of the contribution, or of the output for the first and the last bar.
        left, width: Of the bar, in percent of the waterfall's own range.
        kind: ``for`` or ``against`` the positive label, or ``total``.
    """

    name: str
    code: str
    value: float
    left: float
    width: float
    kind: str


class Waterfall(NamedTuple):
    """The bars of one case, from top to bottom.

    Attributes:
        steps: The first and the last are totals.
        unit: Of their values, ``probability`` or ``log-odds``.
        n_tests: Models of folds whose values these are the mean of.
    """

    steps: list[Step]
    unit: str
    n_tests: int


def waterfall(
    values: Mapping[str, float],
    *,
    output: float,
    names: Mapping[str, str],
    start: str,
    end: str,
    unit: str,
    n_tests: int,
) -> Waterfall:
    """Order contributions by their strength, and place them one after the other; they end at the output.

    Args:
        values: Contributions, above 0 for the positive label, in ``unit``.
        output: Of the model; the start is what the contributions leave of it.
        names: What people call a contribution, where that is not its name.
        start, end: Names of the first and the last bar.
        unit: ``probability`` or ``log-odds``.
        n_tests: See :class:`Waterfall`.
    """
    strongest = sorted(values, key=lambda name: -abs(values[name]))
    shown, rest = strongest[:_N_STEPS], strongest[_N_STEPS:]
    parts = [(names.get(name, name), name if name in names else "", values[name]) for name in shown]
    if rest:
        parts.append((f"{len(rest)} others together", "", sum(values[name] for name in rest)))
    edges = [output - sum(values.values())]
    for _, _, value in parts:
        edges.append(edges[-1] + value)
    scale = _Scale(edges)
    steps = [
        Step(name, code, value, *scale.bar(edges[row], edges[row + 1]), "for" if value > 0 else "against")
        for row, (name, code, value) in enumerate(parts)
    ]
    first, last = (
        Step(name, "", edge, *scale.mark(edge), "total") for name, edge in ((start, edges[0]), (end, output))
    )
    return Waterfall([first, *steps, last], unit, n_tests)


class _Scale:
    def __init__(self, edges: Sequence[float]) -> None:
        self._low = min(edges)
        # Nothing may have moved anything.
        self._range = max(edges) - self._low or 1.0

    def bar(self, start: float, end: float) -> tuple[float, float]:
        return 100 * (min(start, end) - self._low) / self._range, 100 * abs(end - start) / self._range

    def mark(self, edge: float) -> tuple[float, float]:
        return 100 * (edge - self._low) / self._range, 0.0
