"""Who has the positive outcome: three independent factors and the center's prevalence, with known weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fusion.cohorts.simulation.settings import Simulation, Weights

_N_NODES = 64


def logit_of(weights: Weights, *, intercept: float, texture: float, shape: float, clinical: float) -> float:
    """The true logit of the positive outcome; the factors are standard normal."""
    return intercept + weights.texture * texture + weights.shape * shape + weights.clinical * clinical


def probability_of(logit: float) -> float:
    """The logistic function."""
    return 1 / (1 + math.exp(-logit))


def intercept_for(prevalence: float, weights: Weights) -> float:
    """The intercept at which the mean probability over all patients is ``prevalence``."""
    from scipy.optimize import brentq

    nodes, shares = np.polynomial.hermite_e.hermegauss(_N_NODES)
    spread = math.hypot(weights.texture, weights.shape, weights.clinical)
    shares = shares / shares.sum()

    def excess(intercept: float) -> float:
        return float(shares @ (1 / (1 + np.exp(-(intercept + spread * nodes))))) - prevalence

    widest = 50 + 10 * spread
    return float(brentq(excess, -widest, widest))


def intercepts_of(settings: Simulation) -> dict[str, float]:
    """The intercept of each center."""
    return {name: intercept_for(prevalence, settings.weights) for name, prevalence in settings.prevalences.items()}


def separation(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """Area under the ROC curve: the chance that a positive patient scores above a negative one, ties counting half.

    None where one of the two kinds is absent.
    """
    score, is_positive = np.asarray(scores), np.asarray(positive, dtype=bool)
    gaps = score[is_positive][:, None] - score[~is_positive]
    return float((gaps > 0).mean() + (gaps == 0).mean() / 2) if gaps.size else None
