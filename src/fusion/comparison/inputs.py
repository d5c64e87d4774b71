"""Which inputs moved a model's predictions most, from the attributions in its run folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fusion.errors import FusionError
from fusion.runs.folder import RunFolder
from fusion.runs.model import is_classical

# SHAP values, and what a network of before there were any of it has in their place.
_SHAP, _GRADIENTS = ("inputs",), ("radiomics", "clinical")


class _Row(NamedTuple):
    case: tuple[str, str]
    fold: str
    name: str
    value: float
    error: float
    unit: str


def rank_inputs(run: Path, config: Mapping[str, Any], *, n_shown: int) -> dict[str, Any]:
    """The strongest inputs of a model, by the mean absolute attribution over the explained cases of all folds.

    They are the inputs of a classical model's final stage, or of the network's tabular branches. An input that a case
    has no row of (it was not selected in that fold, the case lacks its branch, or it moved nothing) counts as 0 there.
    Cases of a fold whose final stage has no input at all have no rows and do not count.

    Args:
        run: The run folder.
        config: Of the run.
        n_shown: How many inputs.

    Returns:
        ``{"method": "shap" | "integrated_gradients", "inputs_of": "final stage" | "tabular branches",
        "unit": "logit" | "probability", "n_cases", "n_folds",
        "n_folds_without_input": finished folds beside these whose final stage has none, "n_inputs",
        "completeness_error": the largest, "ranking": [{"name", "strength", "n_folds"}]}``, or ``{"absent": why}``.

    Raises:
        FusionError: If a table is not as a run writes it.
    """
    model = config.get("model")
    of_stages = isinstance(model, Mapping) and is_classical(model)
    method = "shap"
    rows = _read_all(run, _SHAP)
    if not rows and not of_stages:
        method, rows = "integrated_gradients", _read_all(run, _GRADIENTS)
    n_empty, n_finished = _folds_without_input(run)
    if not rows:
        why = "explain=none" if of_stages else "explain=none, or it has no tabular branch"
        if n_empty:
            why = f"in {n_empty} of {n_finished} folds its final stage has no input" + (
                f"; for the others {why}" if n_empty < n_finished else ""
            )
        return {"absent": f"The run has no attributions in attributions/inputs.csv: {why}."}
    units = sorted({row.unit for row in rows})
    if len(units) > 1:
        return {"absent": f"The attributions of the folds are in different units ({', '.join(units)})."}
    ranking = _ranking(rows)
    return {
        "method": method,
        "inputs_of": "final stage" if of_stages else "tabular branches",
        "unit": units[0],
        "n_cases": len({row.case for row in rows}),
        "n_folds": len({row.fold for row in rows}),
        "n_folds_without_input": n_empty,
        "n_inputs": len(ranking),
        "completeness_error": max(row.error for row in rows),
        "ranking": ranking[:n_shown],
    }


def _folds_without_input(run: Path) -> tuple[int, int]:
    """How many finished folds have a final stage without inputs, of how many; a network's folds name no inputs."""
    folder = RunFolder.open(run)
    facts = [json.loads((folder.fold(number) / "fold.json").read_text()) for number in folder.finished]
    return sum(of_fold.get("inputs") == [] for of_fold in facts), len(facts)


def _ranking(rows: Sequence[_Row]) -> list[dict[str, Any]]:
    n_cases = len({row.case for row in rows})
    totals: dict[str, float] = {}
    folds: dict[str, set[str]] = {}
    for row in rows:
        totals[row.name] = totals.get(row.name, 0.0) + abs(row.value)
        folds.setdefault(row.name, set()).add(row.fold)
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    return [{"name": name, "strength": totals[name] / n_cases, "n_folds": len(folds[name])} for name in ranked]


def _read_all(run: Path, names: Sequence[str]) -> list[_Row]:
    paths = [run / "attributions" / f"{name}.csv" for name in names]
    return [row for path in paths if path.is_file() for row in _read(path)]


def _read(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [
                _Row(
                    case=(row["case_id"], row["fold"]),
                    fold=row["fold"],
                    name=row["name"],
                    value=float(row["value"]),
                    error=abs(float(row["completeness_error"])),
                    # Integrated gradients are always of the log-odds.
                    unit=row.get("unit", "logit"),
                )
                for row in csv.DictReader(stream)
            ]
    except (ValueError, KeyError, TypeError) as error:
        raise FusionError(
            f"{path}: required a table as a run writes it, came one that cannot be read "
            f"({type(error).__name__}: {error}); train the run again"
        ) from error
