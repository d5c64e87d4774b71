"""Choosing a threshold, by rule, on a part that is never scored with it. A row is called positive from it upwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError, InputError, Problem
from fusion.records import UNLABELED, Predictions

Labels01 = NDArray[np.int64]
Scores = NDArray[np.float64]


def choose_thresholds(
    patients: Predictions, *, part: str, operating_points: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """The threshold of every operating point, chosen on one part; empty with more than two labels.

    Args:
        patients: A row per patient; all rows weigh the same, and those without a label nothing.
        part: The inner part whose predictions are out of fold: ``validation``. Never the part that is scored.
        operating_points: Name → ``{"rule": …}`` with the rule's parameters: none for ``youden``; ``at_least`` in
            (0, 1] for ``sensitivity`` and ``specificity``; ``false_negative`` and ``false_positive``, above 0, for
            ``cost``.

    Raises:
        ValueError: If the part is the test part: a threshold chosen there flatters every figure made with it.
        InputError: For operating points that cannot be read; all of their problems.
        FusionError: Where a label is missing in the part.
    """
    if part == "test":
        raise ValueError("thresholds: required an inner part to choose on, came 'test', which is scored with them")
    check_operating_points(operating_points)
    if len(patients.label_names) != 2:
        return {}
    labels01, scores = _inner(patients, part)
    return {
        name: _RULES[point["rule"]].choose(labels01, scores, **_given(point))
        for name, point in operating_points.items()
    }


def check_operating_points(operating_points: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse operating points that cannot be read, before anything is trained.

    Raises:
        InputError: For an unknown rule, and for a parameter that is missing, unknown or out of range.
    """
    problems = [problem for name, point in operating_points.items() for problem in _problems(name, point)]
    if problems:
        known = "; ".join(", ".join((name, *rule.ranges)) for name, rule in _RULES.items())
        raise InputError("operating points", problems, f"the rules and their parameters are: {known}")


def youden_threshold(labels01: Labels01, scores: Scores) -> float:
    """The threshold with the largest sensitivity + specificity - 1 (Youden, Cancer 1950;3:32-35).

    Candidates lie midway between neighboring distinct scores, so that none sits on a patient; below them stands the
    lowest score, which calls everybody positive, and above them one midway between the highest score and 1 (the next
    float where that is not below 1), which calls nobody positive. So it is with every rule. Of several equally good
    ones the lowest is taken: the most sensitive.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        scores: (N,) higher for the positive label.

    Raises:
        FusionError: Where a label is missing.
    """
    among = _candidates(labels01, scores)
    # In whole numbers, so that equally good thresholds compare equal.
    index = among.n_negative * among.true_positive - among.n_positive * among.false_positive
    return float(among.thresholds[np.argmax(index)])


def sensitivity_threshold(labels01: Labels01, scores: Scores, *, at_least: float) -> float:
    """The highest threshold whose sensitivity is at least ``at_least``, in (0, 1]; arguments as Youden's.

    Raises:
        FusionError: Where a label is missing.
    """
    among = _candidates(labels01, scores)
    return float(among.thresholds[among.true_positive / among.n_positive >= at_least][-1])


def specificity_threshold(labels01: Labels01, scores: Scores, *, at_least: float) -> float:
    """The lowest threshold whose specificity is at least ``at_least``, in (0, 1]; arguments as Youden's.

    Where the highest scores are those of negative rows it may lie above every score.

    Raises:
        FusionError: Where a label is missing.
    """
    among = _candidates(labels01, scores)
    specificity = (among.n_negative - among.false_positive) / among.n_negative
    return float(among.thresholds[specificity >= at_least][0])


def cost_threshold(labels01: Labels01, scores: Scores, *, false_negative: float, false_positive: float) -> float:
    """The threshold with the smallest cost per patient, of equally cheap ones the lowest; arguments as Youden's.

    Args:
        labels01, scores: As Youden's.
        false_negative, false_positive: What one of each costs, above 0; only their ratio matters.

    Raises:
        FusionError: Where a label is missing.
    """
    among = _candidates(labels01, scores)
    missed = among.n_positive - among.true_positive
    cost = false_negative * missed + false_positive * among.false_positive
    # Costs such as 0.1 do not add up exactly; equally cheap thresholds must still compare equal.
    return float(among.thresholds[cost <= cost.min() * (1 + 1e-12)][0])


class _Candidates(NamedTuple):
    """Every way to divide the rows by a threshold, from calling everybody positive to calling nobody so.

    Attributes:
        thresholds: (T,) rising.
        true_positive, false_positive: (T,) rows called positive at each, falling.
        n_positive, n_negative: Rows of each label.
    """

    thresholds: NDArray[np.float64]
    true_positive: NDArray[np.float64]
    false_positive: NDArray[np.float64]
    n_positive: int
    n_negative: int


def _candidates(labels01: Labels01, scores: Scores) -> _Candidates:
    n_positive = int(labels01.sum())
    n_negative = len(labels01) - n_positive
    if not n_positive or not n_negative:
        raise FusionError(
            f"threshold: required patients of both labels, came {n_positive} positive and {n_negative} negative; "
            "give the part that chooses the threshold more patients"
        )
    distinct, inverse = np.unique(scores, return_inverse=True)
    positives = np.bincount(inverse, weights=labels01)
    negatives = np.bincount(inverse, weights=1 - labels01)
    highest = distinct[-1]
    above = np.append(distinct[1:], 1.0 if highest < 1 else np.nextafter(highest, np.inf))
    middles = (distinct + above) / 2
    # Between neighboring floats the middle rounds onto one of them; the upper one divides them just the same.
    middles = np.where(middles > distinct, middles, above)
    return _Candidates(
        thresholds=np.append(distinct[0], middles),
        true_positive=np.append(np.cumsum(positives[::-1])[::-1], 0),
        false_positive=np.append(np.cumsum(negatives[::-1])[::-1], 0),
        n_positive=n_positive,
        n_negative=n_negative,
    )


def _inner(patients: Predictions, part: str) -> tuple[Labels01, Scores]:
    inner = patients.select(
        other == part and label != UNLABELED for other, label in zip(patients.parts, patients.labels, strict=True)
    )
    labels01 = np.array([label == inner.label_names[1] for label in inner.labels], dtype=np.int64)
    return labels01, inner.probabilities[:, 1]


class _Rule(NamedTuple):
    """How a threshold is chosen, and the upper end of each parameter's range (0 itself is excluded)."""

    choose: Callable[..., float]
    ranges: Mapping[str, float]


_RULES = {
    "youden": _Rule(youden_threshold, {}),
    "sensitivity": _Rule(sensitivity_threshold, {"at_least": 1.0}),
    "specificity": _Rule(specificity_threshold, {"at_least": 1.0}),
    "cost": _Rule(cost_threshold, {"false_negative": math.inf, "false_positive": math.inf}),
}


def _given(point: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in point.items() if key != "rule"}


def _problems(name: str, point: Mapping[str, Any]) -> Iterator[Problem]:
    where = f"evaluation.operating_points.{name}"
    if not isinstance(point, Mapping) or point.get("rule") not in tuple(_RULES):
        came = point.get("rule") if isinstance(point, Mapping) else point
        yield Problem(where=where, required=f"a rule among {', '.join(_RULES)}", came=repr(came))
        return
    ranges, given = _RULES[point["rule"]].ranges, _given(point)
    for key in sorted(given.keys() - ranges.keys()):
        yield Problem(where=where, required=f"no {key} with the rule {point['rule']}", came=f"{key}: {given[key]!r}")
    for key, highest in ranges.items():
        if not _lies_within(given.get(key), highest):
            limit = "above 0" if math.isinf(highest) else f"above 0 and at most {highest:g}"
            yield Problem(where=where, required=f"{key}, a number {limit}", came=f"{given.get(key)!r}")


def _lies_within(value: object, highest: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value <= highest and math.isfinite(value)
