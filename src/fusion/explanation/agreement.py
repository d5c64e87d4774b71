"""Whether the models of different folds rest on the same things: agreement of their rankings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from fusion.explanation.branch_table import BRANCHES

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
N_TOP = 10
_N_PERMUTATIONS = 999
_LEVEL = 0.05
# Words for W; where one ends and the next begins is our own choice.
_STRENGTHS = ((0.9, "unusually strong"), (0.7, "strong"), (0.5, "moderate"), (0.3, "weak"), (0.0, "very weak"))


def input_agreement(inputs: pd.DataFrame) -> dict[str, Any]:
    """Whether the folds rank the inputs alike, by mean absolute SHAP value.

    Args:
        inputs: ``attributions/inputs.csv``: columns ``fold, name, value``.

    Returns:
        See ``agreement``.
    """
    strengths = inputs.assign(strength=inputs["value"].abs()).groupby(["fold", "name"])["strength"].mean()
    return agreement([strengths.loc[fold].to_dict() for fold in sorted(set(inputs["fold"]))])


def branch_agreement(branches: pd.DataFrame) -> dict[str, Any]:
    """Whether the folds rank the branches alike, by mean absolute Shapley value.

    Args:
        branches: ``attributions/shapley.csv``: columns ``fold`` and the branches'.

    Returns:
        See ``agreement``.
    """
    strengths = branches[list(BRANCHES)].abs().groupby(branches["fold"]).mean()
    return agreement([row.dropna().to_dict() for _, row in strengths.iterrows()])


def agreement(strengths: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Agreement of rankings by several judges: here the models of folds.

    Folds share most of their training patients, so that agreement is easier for them than for models of different
    patients: a low one speaks against an explanation, a high one proves little.

    Args:
        strengths: Of each fold, how strong each of its inputs is; what a fold's model does not use is not in it, or 0.

    Returns:
        ``n_folds``; ``n_common``, inputs of all folds, and ``n_any``, of any; ``kendall_w``, the ``concordance`` of the
        folds over the common ones, 0 to 1, and ``p``, the share of random rankings that agree as much; ``top_jaccard``,
        the mean over pairs of folds of the part of their strongest ten inputs that they share, 0 to 1; ``verdict`` in
        words. None for what cannot be said: no ten inputs are the strongest of ten or fewer that all folds have.
    """
    found: list[set[str]] = [set(of_fold) for of_fold in strengths]
    common = sorted(set.intersection(*found)) if found else []
    table = np.array([[of_fold[name] for name in common] for of_fold in strengths])
    comparable = len(strengths) > 1 and len(common) > 1 and bool(np.any(np.ptp(table, axis=1) > 0))
    w, p = concordance(table) if comparable else (None, None)
    tops = [_strongest(of_fold) for of_fold in strengths]
    shares = [len(one & other) / len(one | other) for one, other in itertools.combinations(tops, 2) if one | other]
    n_any = len(set().union(*found))
    result = {
        "n_folds": len(strengths),
        "n_common": len(common),
        "n_any": n_any,
        "kendall_w": w,
        "p": p,
        "top_jaccard": float(np.mean(shares)) if shares and n_any > min(len(common), N_TOP) else None,
    }
    return {**result, "verdict": _verdict(result)}


def concordance(table: Floats) -> tuple[float, float]:
    """Kendall's W of rankings, corrected for ties, and its p value.

    Kendall & Babington Smith, Ann Math Stat 1939;10:275-287: the variance of the sums of ranks over what it would be if
    all judges agreed. The p value is that of random rankings, drawn, since the chi-squared approximation needs many
    objects, and there are three branches.

    Args:
        table: (m, n) of m judges, two or more, on n objects, two or more; not all objects tied by all judges.

    Returns:
        W in [0, 1], 1 where all rank alike; and the share of drawn rankings with at least this W.
    """
    ranks = rankdata(table, axis=1)
    n_judges, n_objects = ranks.shape
    most = n_judges**2 * (n_objects**3 - n_objects) - n_judges * sum(_ties(row) for row in ranks)

    def deviation(of_ranks: Floats) -> float:
        return float(np.sum((of_ranks.sum(axis=0) - n_judges * (n_objects + 1) / 2) ** 2))

    found = deviation(ranks)
    rng = np.random.default_rng(0)
    # Sums of halves are exact, so that rankings which agree as much count as such.
    n_alike = sum(deviation(rng.permuted(ranks, axis=1)) >= found for _ in range(_N_PERMUTATIONS))
    return 12 * found / most, (1 + n_alike) / (1 + _N_PERMUTATIONS)


def _ties(ranks: Floats) -> int:
    _, counts = np.unique(ranks, return_counts=True)
    return int(np.sum(counts**3 - counts))


def _strongest(strengths: Mapping[str, float]) -> set[str]:
    used = [name for name, strength in strengths.items() if strength > 0]
    return set(sorted(used, key=lambda name: -strengths[name])[:N_TOP])


def _verdict(result: Mapping[str, Any]) -> str:
    if result["n_folds"] < 2:
        return "There is one fold: whether another would rest on the same inputs is not known."
    if result["kendall_w"] is None:
        return (
            f"Of {result['n_any']} inputs {result['n_common']} are used in all {result['n_folds']} folds: too few to "
            "compare their rankings."
        )
    shown = f"Kendall's W {result['kendall_w']:.2f} over the {result['n_common']} inputs that all folds use"
    others = result["n_any"] - result["n_common"]
    rest = f"; {others} more are used in some folds only" if others else ""
    if result["p"] > _LEVEL:
        return f"The folds do not agree more than random rankings would ({shown}, p = {result['p']:.2g}){rest}."
    strength = next(word for least, word in _STRENGTHS if result["kendall_w"] >= least)
    return f"The folds' agreement is {strength} ({shown}){rest}."
