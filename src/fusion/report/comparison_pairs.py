"""Which pairs of a comparison are shown where there is no room for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fusion.report.comparison_words import auc_test

Estimate = Mapping[str, Any]
_UNDEFINED: Estimate = {"value": None, "ci_low": None, "ci_high": None}


class Shown(NamedTuple):
    """What is shown of a pair.

    Attributes:
        model, reference: The differences are those of ``model`` less ``reference``.
        auc: Difference in AUC; its parts are None where it is not defined.
        p: Of the AUC's difference, after Holm's correction.
        brier: Difference in Brier score.
        p_of_calls: Of the accuracies' difference, after Holm's correction; None without calls.
    """

    model: str
    reference: str
    auc: Estimate
    p: float | None
    brier: Estimate
    p_of_calls: float | None


class Selection(NamedTuple):
    """The pairs that are shown.

    Attributes:
        pairs: Of them.
        reference: The model that all of them are less, if there is one.
        n_all: How many there are in all.
    """

    pairs: list[Shown]
    reference: str | None
    n_all: int


def shown_pairs(comparison: Mapping[str, Any], *, most: int) -> Selection:
    """All pairs; of more than ``most``, those with the best model by inner AUC, each model less that one."""
    pairs, primary, best = comparison["comparisons"], comparison["primary"], comparison["best_by_inner"]
    shown = [_shown(pair) for pair in pairs]
    if primary is not None or best is None or len(pairs) <= most:
        return Selection(shown, primary, len(pairs))
    of_best = [pair if pair.reference == best else _turned(pair) for pair in shown if best in pair[:2]]
    places = {model["name"]: place for place, model in enumerate(comparison["models"])}
    return Selection(sorted(of_best, key=lambda pair: places[pair.model]), best, len(pairs))


def _shown(pair: Mapping[str, Any]) -> Shown:
    undefined: Mapping[str, Any] = {"difference": _UNDEFINED, "p_holm": None}
    test = auc_test(pair) if pair["auc"] else undefined
    p_of_calls = pair["calls"]["accuracy"]["p_holm"] if pair["calls"] else None
    return Shown(pair["model"], pair["reference"], test["difference"], test["p_holm"], pair["brier"], p_of_calls)


def _turned(pair: Shown) -> Shown:
    """The same pair from the other side; no p value knows of sides."""
    return pair._replace(
        model=pair.reference, reference=pair.model, auc=_negative(pair.auc), brier=_negative(pair.brier)
    )


def _negative(difference: Estimate) -> dict[str, Any]:
    ends = {"value": "value", "ci_low": "ci_high", "ci_high": "ci_low"}
    turned = {key: None if difference[of] is None else -difference[of] for key, of in ends.items()}
    return {**difference, **turned}
