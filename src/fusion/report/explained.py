"""What moved the predictions of a run's test part, over all cases: branches, inputs, and whether pictures hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fusion.explanation.agreement import branch_agreement, input_agreement
from fusion.explanation.branch_summary import summarize_branches
from fusion.report.run_folder import FinishedRun


class Explained(NamedTuple):
    """What the page says of the explanations.

    Attributes:
        branches: By branch ``n`` cases, ``mean_absolute`` value, ``mean_gate`` and ``n_largest``, see
            ``summarize_branches``; empty where the run has no Shapley values.
        sentences: What follows from the tables.
        checks: ``fold``, ``method``, ``n_cases`` and ``verdict`` of each test of the pictures.
    """

    branches: dict[str, dict[str, Any]]
    sentences: list[str]
    checks: list[dict[str, Any]]


def explained(run: FinishedRun) -> Explained | None:
    """Summarize ``attributions/``; None where nothing was explained."""
    summary = None if run.shapley is None else summarize_branches(run.shapley)
    checks = [] if run.pixel_checks is None else run.pixel_checks.to_dict("records")
    found = Explained({} if summary is None else summary["branches"], [*_sentences(run, summary)], checks)
    return found if any(found) else None


def _sentences(run: FinishedRun, summary: dict[str, Any] | None) -> Iterator[str]:
    if summary is not None and run.shapley is not None:
        for pair in summary["pairs"].values():
            yield f"{pair['verdict'][0].upper()}{pair['verdict'][1:]} (over {pair['n']} cases)."
        if summary["gates"] is not None:
            yield summary["gates"]["verdict"]
        if not run.is_classical and run.config.get("model", {}).get("branch_dropout") == 0:
            yield (
                "The network was never trained to do without a branch (model.branch_dropout=0): what it says of a "
                "patient who lacks one is a guess, and so are these values."
            )
        if run.n_models > 1:
            yield f"Branches: {_as_clause(branch_agreement(run.shapley)['verdict'])}"
    inputs = run.attributions.get("inputs")
    if inputs is not None and run.n_models > 1:
        yield f"Inputs: {_as_clause(input_agreement(inputs)['verdict'])}"


def _as_clause(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
