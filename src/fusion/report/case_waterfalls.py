"""What moved the prediction of each case: its inputs, and its branches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from fusion.explanation.branch_table import BRANCHES
from fusion.explanation.feature_names import describe
from fusion.records import Predictions
from fusion.report.run_folder import FinishedRun
from fusion.report.waterfall import Waterfall, waterfall

_GATES = tuple(f"gate_{branch}" for branch in BRANCHES)
_NUMBERS = ("probability", "base", *BRANCHES, *_GATES)
_MOST_LOG_ODDS = 36.0


class BranchView(NamedTuple):
    """What the branches did to the prediction of a case, and what has to be said of it."""

    waterfall: Waterfall
    sentences: list[str]


def input_waterfalls(run: FinishedRun) -> dict[str, Waterfall]:
    """SHAP values of ``attributions/inputs.csv`` by case id; where several folds tested a case, their mean.

    An input that the model of a fold does not use has moved nothing there, and counts 0.
    """
    table = run.attributions.get("inputs")
    cases = run.by_fold or run.cases
    if table is None or cases is None:
        return {}
    probabilities = _probabilities(cases)
    names = {str(name): str(words) for name in table["name"].unique() if (words := describe(str(name)))}
    found = {}
    for case_id, rows in table.groupby("case_id", sort=False):
        folds, units = sorted({int(fold) for fold in rows["fold"]}), set(rows["unit"])
        outputs = [probabilities.get((str(case_id), fold)) for fold in folds]
        known = [output for output in outputs if output is not None]
        # Values of different units, or of a case that has no prediction, add up to nothing.
        if len(units) > 1 or len(known) < len(folds):
            continue
        is_logit = units == {"logit"}
        found[str(case_id)] = waterfall(
            (rows.groupby("name", sort=False)["value"].sum() / len(folds)).to_dict(),
            output=_mean([_logit(p) for p in known] if is_logit else known),
            names=names,
            start="Start: with the inputs of training patients, in the mean",
            end=f"End: {'log-odds' if is_logit else 'probability'} of {run.patients.label_names[-1]}",
            unit="log-odds" if is_logit else "probability",
            n_tests=len(folds),
        )
    return found


def branch_waterfalls(run: FinishedRun) -> dict[str, BranchView]:
    """Shapley values of ``attributions/shapley.csv`` by case id, likewise; empty where the run has none."""
    if run.shapley is None:
        return {}
    return {str(case_id): _branch_view(run, rows) for case_id, rows in run.shapley.groupby("case_id", sort=False)}


def _branch_view(run: FinishedRun, rows: pd.DataFrame) -> BranchView:
    means = {str(name): float(value) for name, value in rows[list(_NUMBERS)].mean().items()}
    positive = run.patients.label_names[-1]
    there = [branch for branch in BRANCHES if not math.isnan(means[branch])]
    shown = waterfall(
        {branch: means[branch] for branch in there},
        output=means["probability"],
        names={},
        start=f"Start: share of {positive} among the training patients",
        end=f"End: probability of {positive}",
        unit="probability",
        n_tests=len(rows),
    )
    return BranchView(shown, [*_lacking(there), *_gates(means), *_disagreement(rows)])


def _lacking(there: Sequence[str]) -> list[str]:
    lacking = [branch for branch in BRANCHES if branch not in there]
    return [f"Not there, and left out: {', '.join(lacking)}."] if lacking else []


def _gates(means: Mapping[str, float]) -> list[str]:
    gates = [
        f"{branch} {means[f'gate_{branch}']:.2f}" for branch in BRANCHES if not math.isnan(means[f"gate_{branch}"])
    ]
    return [f"Gates, the network’s own weights of the branches: {', '.join(gates)}."] if gates else []


def _disagreement(rows: pd.DataFrame) -> list[str]:
    n_disagree = int((rows["agree"] == "no").sum())
    if not n_disagree:
        return []
    where = "" if len(rows) == 1 else f" in {n_disagree} of {len(rows)} models"
    return [f"The branch with the largest gate is not the one that moved the probability most{where}."]


def _probabilities(cases: Predictions) -> dict[tuple[str, int], float]:
    """Of the positive label, by case and fold that tested it."""
    assert cases.case_ids is not None
    rows: Any = zip(cases.case_ids, cases.folds, cases.parts, cases.probabilities[:, -1].tolist(), strict=True)
    return {(case_id, fold): probability for case_id, fold, part, probability in rows if part == "test"}


def _logit(probability: float) -> float:
    # As fusion.explanation.shap_values.logit, which takes arrays.
    if probability in (0, 1):
        return math.copysign(_MOST_LOG_ODDS, probability - 0.5)
    return max(-_MOST_LOG_ODDS, min(_MOST_LOG_ODDS, math.log(probability / (1 - probability))))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
