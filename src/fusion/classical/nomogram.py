"""A linear model as a nomogram: what each value of each variable adds to the logit.

The tables that are drawn from it hold contributions, not points: a patient's add up to the model's logit, exactly.
Harrell, Regression Modeling Strategies, 2nd ed. (2015), section 10.10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fusion.tabular.clinical import MISSING, ColumnEncoder

PROBABILITY, INTERCEPT = "(probability)", "(intercept)"
PROBABILITIES = (0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95)
_MOST_STEPS = 8  # between the ticks of a number
_REACHED = 1e-6  # a probability that is met within this

Tick = tuple[str, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A variable of the nomogram.

    Attributes:
        variable: Its name, with its unit where it has one.
        ticks: Text, and what the model adds to the logit there: the model's inputs times their coefficients.
    """

    variable: str
    ticks: tuple[Tick, ...]


def nomogram_rows(
    axes: Sequence[Axis], *, intercept: float, to_probability: Callable[[float], float]
) -> list[tuple[str, str, float]]:
    """The rows of ``nomogram.csv`` of one fold, without the fold.

    Args:
        axes: All that the model adds up; a variable that is not among them counts 0.
        intercept: Of the logit.
        to_probability: From the model's logit to the probability that it gives, calibration included; rising.

    Returns:
        (variable, label, value): a row per tick; ``(intercept)`` once; ``(probability)`` with the logit at which each
        of ``PROBABILITIES`` is given, as far as the axes reach it.
    """
    low, high = (intercept + sum(end(value for _, value in axis.ticks) for axis in axes) for end in (min, max))
    return [
        *((axis.variable, label, value) for axis in axes for label, value in axis.ticks),
        *((PROBABILITY, label, value) for label, value in probability_ticks(to_probability, low=low, high=high)),
        (INTERCEPT, "", intercept),
    ]


def number_axis(
    variable: str,
    *,
    coefficient: float,
    center: float,
    scale: float,
    clip: float,
    training_range: Range,
    unit: str | None,
    missing: float | None = None,
) -> Axis:
    """Of a number that enters the model as ``(x - center) / scale``, clipped: round ticks in the number's own unit.

    Scores and radiomics features are such numbers, too; one that is not standardized has center 0 and scale 1.

    Args:
        variable: Name of the number.
        coefficient: Of the model's input.
        center, scale: Of the training patients; the scale is above 0.
        clip: Bound of the input, in standard deviations; infinity where it is not clipped.
        training_range: Smallest and largest value of the training patients; the ticks cover it and go little beyond.
        unit: Of the number, e.g. ``years``.
        missing: What the model adds where the value is missing; None where it cannot be.
    """
    low, high = (float(min(max(end, center - clip * scale), center + clip * scale)) for end in training_range)
    values = round_values(low, high)
    ticks = [(f"{x:.12g}", coefficient * min(max((x - center) / scale, -clip), clip)) for x in values]
    return _axis(f"{variable} ({unit})" if unit else variable, ticks, missing)


def clinical_axes(
    columns: Sequence[ColumnEncoder],
    coefficients: Mapping[str, float],
    *,
    ranges: Mapping[str, Range],
    units: Mapping[str, str | None],
    clip: float,
) -> list[Axis]:
    """The clinical columns that have a say in the model, in the order of ``columns``.

    Args:
        columns: As fitted.
        coefficients: Of the encoded inputs, by their names (``age``, ``shape=oval``, ``pain=missing``); an input that
            is not there counts 0, and those of other names are not read.
        ranges: Smallest and largest training value of every number, by column.
        units: Of the numbers that have one, by column.
        clip: Of the encoder.

    Returns:
        An axis per column, but one per element of a set, since a patient may have several. A column whose
        coefficients are all 0 has none.
    """
    found = [
        axis
        for column in columns
        if any(coefficients.get(name) for name in column.inputs)
        for axis in _column_axes(column, coefficients, ranges=ranges, units=units, clip=clip)
    ]
    return [axis for axis in found if any(value != axis.ticks[0][1] for _, value in axis.ticks)]


def probability_ticks(to_probability: Callable[[float], float], *, low: float, high: float) -> list[Tick]:
    """The logits at which ``PROBABILITIES`` are given.

    Args:
        to_probability: Rising; it may have steps, and what lies within a step is skipped.
        low, high: The logits that are looked at; what is out of their reach is skipped.

    Returns:
        The probability as text, and its logit.
    """
    from scipy.optimize import brentq

    ticks = []
    for wanted in PROBABILITIES:
        if to_probability(low) <= wanted <= to_probability(high):
            logit = float(brentq(lambda x, wanted=wanted: to_probability(x) - wanted, low, high, xtol=1e-10))
            if abs(to_probability(logit) - wanted) < _REACHED:
                ticks.append((f"{wanted:g}", logit))
    return ticks


def round_values(low: float, high: float) -> list[float]:
    """Evenly spaced round numbers from at most ``low`` to at least ``high``; of whole numbers only whole ones."""
    if low == high:
        return [low]
    step = _round_step((high - low) / _MOST_STEPS)
    if step < 1 and low.is_integer() and high.is_integer():
        step = 1.0
    # A limit that is a multiple but for rounding has no further tick beyond it.
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{multiple * step:.12g}") for multiple in range(first, last + 1)]


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _column_axes(
    column: ColumnEncoder,
    coefficients: Mapping[str, float],
    *,
    ranges: Mapping[str, Range],
    units: Mapping[str, str | None],
    clip: float,
) -> list[Axis]:
    missing = coefficients.get(f"{column.name}={MISSING}", 0.0) if column.indicator else None
    if column.kind == "set":
        elements = [
            Axis(f"{column.name}: {level}", (("no", 0.0), ("yes", coefficients.get(f"{column.name}={level}", 0.0))))
            for level in column.levels
        ]
        return [*elements, *([] if missing is None else [_known_axis(column.name, missing)])]
    if column.kind == "category":
        of_levels = [(level, coefficients.get(f"{column.name}={level}", 0.0)) for level in column.levels]
        return [_axis(column.name, _without_effect_joined(of_levels), missing)]
    coefficient = coefficients.get(column.name, 0.0)
    if column.scale == 0 or not coefficient:
        return [_known_axis(column.name, missing or 0.0)]
    if column.kind == "number":
        return [
            number_axis(
                column.name,
                coefficient=coefficient,
                center=column.center,
                scale=column.scale,
                clip=clip,
                training_range=ranges[column.name],
                unit=units.get(column.name),
                missing=missing,
            )
        ]
    texts = ("no", "yes") if column.kind == "yes_no" else column.levels
    standardized = [(rank - column.center) / column.scale for rank in range(len(texts))]
    ticks = [(text, coefficient * min(max(x, -clip), clip)) for text, x in zip(texts, standardized, strict=True)]
    return [_axis(column.name, ticks, missing)]


def _axis(variable: str, ticks: Sequence[Tick], missing: float | None) -> Axis:
    return Axis(variable, (*ticks, *([] if missing is None else [(MISSING, missing)])))


def _known_axis(variable: str, missing: float) -> Axis:
    """Of a column whose values have no say, only whether it is known."""
    return Axis(variable, (("known", 0.0), (MISSING, missing)))


def _without_effect_joined(ticks: Sequence[Tick]) -> list[Tick]:
    """Levels that add nothing stand at one place: they share a tick."""
    without = [text for text, value in ticks if value == 0]
    if len(without) < 2:
        return list(ticks)
    text = f"{without[0]} or {without[1]}" if len(without) == 2 else "any other"
    return [*((text, value) for text, value in ticks if value != 0), (text, 0.0)]
