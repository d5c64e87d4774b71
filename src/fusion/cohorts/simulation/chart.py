"""The clinical row of one patient: measurements, words, and what a reader made of the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields

import numpy as np
from scipy.special import ndtr, ndtri

from fusion.cohorts.simulation.settings import Category, Finding, Missing, Number, Simulation

Row = dict[str, str]


def draw_quantiles(
    settings: Simulation, *, shape: float, clinical: float, rng: np.random.Generator
) -> dict[str, float]:
    """Where the lesion stands in each finding, uniform from 0 to 1.

    In ``shape`` it stands there by the shape factor alone, in a finding with a loading by the clinical factor in part.
    """
    drawn = {field.name: float(rng.random()) for field in fields(settings.findings)}
    loadings = settings.finding_loadings or {}
    drawn |= {name: _tied(drawn[name], loading, clinical) for name, loading in loadings.items()}
    return {**drawn, "shape": float(ndtr(shape))}


def draw_row(
    settings: Simulation,
    *,
    clinical: float,
    quantiles: Mapping[str, float],
    length_mm: float,
    rng: np.random.Generator,
) -> Row:
    """All columns of the clinical row but the id, the center and the outcome.

    Args:
        settings: The cohort's.
        clinical: The clinical factor, standard normal, the only one of the three factors that moves a column
            (a finding of the shape does too where the settings ask for agreement there).
        quantiles: As of ``draw_quantiles``.
        length_mm: True length of the lesion.
        rng: The patient's stream for this row.
    """
    measured = length_mm * (1 + settings.size_error * rng.standard_normal())
    row = {"size_mm": f"{measured:.1f}"}
    row |= {name: _number(column, clinical, rng) for name, column in settings.numbers.items()}
    row |= {name: _word(column, clinical, rng) for name, column in settings.categories.items()}
    for field in fields(settings.findings):
        finding: Finding = getattr(settings.findings, field.name)
        row[field.name] = _reading(finding, quantiles[field.name], rng)
    return _with_gaps(row, settings.missing, rng)


def level_at(levels: Mapping[str, float], quantile: float) -> str:
    """The level that holds the quantile when levels follow each other, each as wide as its frequency."""
    names = list(levels)
    index = int(np.searchsorted(np.cumsum(list(levels.values())), quantile, side="right"))
    return names[min(index, len(names) - 1)]


def _number(column: Number, clinical: float, rng: np.random.Generator) -> str:
    value = column.mean + column.sd * _loaded(column.loading, clinical, rng)
    return f"{min(max(value, column.low), column.high):.{column.decimals}f}"


def _word(column: Category, clinical: float, rng: np.random.Generator) -> str:
    return level_at(column.levels, float(ndtr(_loaded(column.loading, clinical, rng))))


def _loaded(loading: float, clinical: float, rng: np.random.Generator) -> float:
    """A standard normal value that correlates with the clinical factor by ``loading``."""
    return loading * clinical + math.sqrt(1 - loading**2) * float(rng.standard_normal())


def _tied(quantile: float, loading: float, clinical: float) -> float:
    """As ``_loaded``, of a uniform value."""
    return float(ndtr(loading * clinical + math.sqrt(1 - loading**2) * ndtri(quantile)))


def _reading(finding: Finding, quantile: float, rng: np.random.Generator) -> str:
    guess, attention = rng.random(2)
    return level_at(finding.levels, quantile if attention < finding.agreement else guess)


def _with_gaps(row: Row, missing: Missing, rng: np.random.Generator) -> Row:
    absent = {name for name in missing.columns if rng.random() < missing.fraction}
    return {name: missing.word if name in absent else value for name, value in row.items()}
