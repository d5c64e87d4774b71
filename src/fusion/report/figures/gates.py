"""Each branch's share in the decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.report.figures.style import BRANCH_COLORS, COLUMN_IN, INK, PURPLE, Plan, style
from fusion.report.run_folder import FinishedRun

_MAX_POINTS = 600


def plan_gates(run: FinishedRun) -> Plan:
    """The gates of the explained cases."""
    caption = (
        "The gate is the weight that the network gave a branch in a case; the gates of a case add up to 1. A point is "
        "a case (where they are few enough to be seen), the box the middle half. A wide box is a branch that matters "
        "in some cases only."
    )
    title, gates = "What weight the head gave each branch", _gates(run)
    if isinstance(gates, str):
        return Plan("gates", title, caption, gates)
    table = pd.concat([pd.DataFrame({"branch": branch, "gate": values}) for branch, values in gates.items()])
    return Plan("gates", title, caption, draw_gates(gates), table)


def draw_gates(gates: Mapping[str, NDArray[np.float64]]) -> Figure:
    """A box per branch with every case as a point, where these are few enough to see."""
    with style():
        figure = Figure(figsize=(COLUMN_IN, 0.55 * len(gates) + 0.6))
        axes = figure.subplots()
        lines: dict[str, Any] = {f"{name}props": {"color": INK, "linewidth": 0.8} for name in ("box", "whisker", "cap")}
        lines["medianprops"] = {"color": INK, "linewidth": 1.6}
        for row, (branch, values) in enumerate(gates.items()):
            color = BRANCH_COLORS.get(branch, PURPLE)
            if len(values) <= _MAX_POINTS:
                axes.scatter(values, row + _jitter(len(values)), s=3, color=color, alpha=0.45, linewidths=0)
            axes.boxplot(
                [values],
                positions=[row],
                orientation="horizontal",
                widths=0.62,
                showfliers=False,
                manage_ticks=False,
                **lines,
            )
        axes.set_yticks(range(len(gates)), list(gates), fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 1), ylim=(len(gates) - 0.5, -0.5), xlabel="Gate (weight in the head)")
        return figure


def _gates(run: FinishedRun) -> dict[str, NDArray[np.float64]] | str:
    if run.gates is None:
        return "The run has no attributions/branches.csv: its head has no gates, or nothing was explained."
    columns = {name.removeprefix("gate_"): run.gates[name].dropna() for name in run.gates if name.startswith("gate_")}
    gates = {branch: values.to_numpy(dtype=np.float64) for branch, values in columns.items() if len(values)}
    return gates or "attributions/branches.csv holds no gate: the head has none."


def _jitter(n: int) -> NDArray[np.float64]:
    """Evenly spread and always the same (the golden-ratio sequence), within ±0.25."""
    return np.asarray((np.arange(n) * 0.6180339887498949 % 1 - 0.5) * 0.5, dtype=np.float64)
