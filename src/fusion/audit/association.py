"""How well one column alone tells the outcome."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.delong import delong
from fusion.evaluation.estimate import Estimate, undefined
from fusion.records import Kind, Value

_LEVEL = 0.95
_N_FOLDS = 5
_SEED = 0
_MIN_LEAF = 3
# Of a category; rarer ones are one level together, so that a column of free text stays a small table.
_N_LEVELS = 100


def association(values: Sequence[Value], labels: Sequence[str], *, kind: Kind, levels: Sequence[str] = ()) -> Estimate:
    """AUC of a column alone, one row a patient; 0.5 is chance, 1 tells the outcome.

    The better of two: the column's own order, upwards or downwards (number, ordered, yes/no; patients without a value
    left out), and a small decision tree, cross-validated, that sees the value, its levels, or that it is missing. Of
    several labels it is the best told from the rest. The interval is DeLong's. Taking the better makes a column of
    noise a few hundredths better than chance, which matters nothing for AUCs above 0.9.

    Args:
        values: Of the patients; None is missing.
        labels: Of the patients.
        kind: Of the column.
        levels: Of an ordered column, from low to high.
    """
    outcome, names = np.array(labels), sorted(set(labels))
    if len(names) < 2 or len({*values}) < 2:
        return undefined(len(values))
    numbers = _numbers(values, kind=kind, levels=levels)
    inputs = _inputs(values, numbers)
    estimates = []
    for name in names if len(names) > 2 else names[-1:]:
        labels01 = (outcome == name).astype(np.int64)
        estimates.append(_of_tree(inputs, labels01))
        if numbers is not None:
            estimates.append(_of_order(numbers, labels01))
    return max(estimates, key=lambda one: -math.inf if math.isnan(one.value) else one.ci_low)


def is_recoding(values: Sequence[Value], labels: Sequence[str]) -> bool:
    """Whether every value belongs to one label, with no more values than the labels and "missing" ask for.

    Such a column holds the outcome in other words; one with a value per patient only tells who the patient is.
    """
    pairs = set(zip(values, labels, strict=True))
    return len({value for value, _ in pairs}) == len(pairs) <= len(set(labels)) + 1 and len(set(labels)) > 1


def _numbers(values: Sequence[Value], *, kind: Kind, levels: Sequence[str]) -> NDArray[np.float64] | None:
    """(N,) the values where they have an order, NaN where missing; None for categories and sets."""
    if kind in {"category", "set"}:
        return None
    rank: dict[Value, float] = {level: float(i) for i, level in enumerate(levels)}
    return np.array(
        [math.nan if value is None else rank[value] if kind == "ordered" else value for value in values],
        dtype=np.float64,
    )


def _inputs(values: Sequence[Value], numbers: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """(N, F) what the tree sees."""
    if numbers is not None:
        return np.stack([np.isnan(numbers), np.nan_to_num(numbers)], axis=1).astype(np.float64)
    members = [
        value if isinstance(value, frozenset) else frozenset() if value is None else frozenset({str(value)})
        for value in values
    ]
    counts = Counter(member for of in members for member in of)
    common = [name for name, n in counts.most_common(_N_LEVELS) if n >= _MIN_LEAF]
    columns = [[name in of for of in members] for name in common]
    return np.array([*columns, [value is None for value in values]], dtype=np.float64).T


def _of_tree(inputs: NDArray[np.float64], labels01: NDArray[np.int64]) -> Estimate:
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    n_folds = min(_N_FOLDS, *np.bincount(labels01, minlength=2).tolist())
    if n_folds < 2:
        return undefined(len(labels01))
    tree = DecisionTreeClassifier(min_samples_leaf=_MIN_LEAF, random_state=_SEED)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=_SEED)
    scores = cross_val_predict(tree, inputs, labels01, cv=folds, method="predict_proba")[:, 1]
    return delong(labels01, scores.astype(np.float64), level=_LEVEL)


def _of_order(numbers: NDArray[np.float64], labels01: NDArray[np.int64]) -> Estimate:
    known = ~np.isnan(numbers)
    upwards, downwards = (delong(labels01[known], sign * numbers[known], level=_LEVEL) for sign in (1.0, -1.0))
    return upwards if upwards.value >= downwards.value else downwards
