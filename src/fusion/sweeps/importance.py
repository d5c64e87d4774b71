"""How much each swept value has to do with the inner score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# Fewer say nothing: a forest of trees cannot be grown on a handful of runs.
_FEWEST_RUNS = 8
_RUNS_PER_KEY = 2


def measure_importance(
    values: Sequence[Mapping[str, str]], scores: Sequence[float], *, keys: Sequence[str], seed: int
) -> dict[str, Any]:
    """Share of the variance of the inner score that each swept value explains alone (fANOVA).

    A random forest learns the score from the values, and its variance over all combinations of the values that were
    tried is divided among them (Hutter et al., ICML 2014); what is left of 1 belongs to combinations of values. Numbers
    count by their rank among those tried, so that the scale that they are given in does not matter.

    Args:
        values: Of each run, by key.
        scores: Of each run.
        keys: That the runs differ in.
        seed: Of the forest.

    Returns:
        ``{"n_runs", "shares": {key: from 0 to 1}}``, the largest first, or ``{"absent": why}``.
    """
    needed = max(_FEWEST_RUNS, _RUNS_PER_KEY * len(keys))
    if not keys:
        return {"absent": "The runs differ in no value."}
    if len(scores) < needed:
        return {"absent": f"It takes {needed} ranked runs to tell; there are {len(scores)}."}
    if np.ptp(scores) == 0:
        return {"absent": "All runs have the same inner score."}
    return {"n_runs": len(scores), "shares": _shares(values, scores, keys, seed)}


def as_numbers(texts: Sequence[str]) -> list[float] | None:
    """The values as numbers; None where one of them is none."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        return None


def _shares(
    values: Sequence[Mapping[str, str]], scores: Sequence[float], keys: Sequence[str], seed: int
) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    columns = {key: _column([of_run.get(key, "") for of_run in values]) for key in keys}
    study = optuna.create_study(direction="maximize")
    for number, score in enumerate(scores):
        params = {key: places[number] for key, (places, _) in columns.items()}
        distributions = {key: distribution for key, (_, distribution) in columns.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=score))
    found = FanovaImportanceEvaluator(seed=seed).evaluate(study, params=list(keys))
    return {key: float(share) for key, share in found.items()}


def _column(texts: Sequence[str]) -> tuple[list[Any], BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    numbers = as_numbers(texts)
    if numbers is None:
        return list(texts), CategoricalDistribution(sorted(set(texts)))
    tried = sorted(set(numbers))
    return [tried.index(number) for number in numbers], IntDistribution(0, len(tried) - 1)
