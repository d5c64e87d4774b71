"""What the branches' Shapley values come to over a cohort."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.explanation.branch_table import BRANCHES, PAIRS

if TYPE_CHECKING:
    import pandas as pd

# Standard errors that a mean has to lie from 0.
_SURE = 1.96


def summarize_branches(table: pd.DataFrame) -> dict[str, Any]:
    """The cohort's branch contributions, interactions, and gates that point elsewhere.

    Args:
        table: ``attributions/shapley.csv``.

    Returns:
        ``branches``: by branch that any case has, ``n`` cases, ``mean_absolute`` value (in probability), ``mean_gate``
        (None without gates), and ``n_largest``, in how many cases its value was the largest. ``pairs``: by pair, ``n``
        cases that have both, ``together``, the mean of the interaction in the direction of the prediction (above 0: the
        two say more together than the sum of each alone; below 0: they repeat each other), its ``standard_error``
        (cases taken as independent), and the ``verdict`` in words. ``gates``: None without gates, else ``n_compared``,
        ``n_disagree``, the counts by ``gate`` and ``value``, and the ``verdict``.
    """
    return {
        "branches": {name: _branch(table, name) for name in BRANCHES if table[name].notna().any()},
        "pairs": {"_".join(pair): _pair(table, pair) for pair in PAIRS if table["_".join(pair)].notna().sum() > 1},
        "gates": _gates(table),
    }


def _branch(table: pd.DataFrame, name: str) -> dict[str, Any]:
    gates = table[f"gate_{name}"]
    return {
        "n": int(table[name].notna().sum()),
        "mean_absolute": float(table[name].abs().mean()),
        "mean_gate": float(gates.mean()) if gates.notna().any() else None,
        "n_largest": int((table["largest_value"] == name).sum()),
    }


def _pair(table: pd.DataFrame, pair: tuple[str, str]) -> dict[str, Any]:
    # Of a patient whom the branches clear, together they say more where they push further down.
    towards = np.sign(table["probability"] - table["base"])
    together = (towards * table["_".join(pair)]).dropna()
    mean, error = float(together.mean()), float(together.std(ddof=1) / math.sqrt(len(together)))
    first, second = pair
    if abs(mean) <= _SURE * error:
        verdict = (
            f"{first} and {second} add up: together they say neither clearly more nor less than the sum of each alone"
        )
    elif mean > 0:
        verdict = f"{first} and {second} say more together than the sum of each alone"
    else:
        verdict = f"{first} and {second} partly repeat each other: together they say less than the sum of each alone"
    return {"n": len(together), "together": mean, "standard_error": error, "verdict": verdict}


def _gates(table: pd.DataFrame) -> dict[str, Any] | None:
    compared = table[table["agree"].isin(["yes", "no"])]
    if not len(compared):
        return None
    others = compared[compared["agree"] == "no"]
    counts = others.groupby(["largest_gate", "largest_value"]).size().sort_values(ascending=False, kind="stable")
    found = [{"gate": gate, "value": value, "n": int(n)} for (gate, value), n in counts.items()]
    verdict = (
        f"In {len(others)} of {len(compared)} cases the branch with the largest gate is not the one that moved the "
        "prediction most"
    )
    if found:
        first = found[0]
        verdict += f"; most often ({first['n']}) the gate is on {first['gate']} and {first['value']} moved it"
    return {"n_compared": len(compared), "n_disagree": len(others), "counts": found, "verdict": f"{verdict}."}
