"""What moved the model's output: SHAP values of the inputs of its final stage, or of its tabular branches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.report.figures.ranking import rank_attributions
from fusion.report.figures.rows import draw_rows
from fusion.report.figures.style import BLUE, INK, MUTED, Plan, stacked, style
from fusion.report.inner import calibration_name
from fusion.report.run_folder import FinishedRun

_N_SHOWN = 20
N_POINTS = 250  # of a row: more only fill the file
_N_BINS = 40
_GIVEN = "; the patient’s image, where the model has one, stays what it is"


def plan_shap(run: FinishedRun) -> Plan | None:
    """The SHAP values of the inputs; None where the run has no attributions/inputs.csv."""
    table, unexplained = run.attributions.get("inputs"), _without_inputs(run)
    title = "What moved the output: SHAP"
    if run.is_classical and len(unexplained) == run.n_folds:
        return Plan("shap", title, "", "The model has no input at all in any fold: there is nothing to explain.")
    if table is None:
        return None
    if table.empty:
        return Plan("shap", title, "", "attributions/inputs.csv holds no case: nothing was explained.")
    units = sorted(set(table["unit"]))
    if len(units) > 1:
        return Plan("shap", title, "", f"The SHAP values are in different units ({', '.join(units)}).")
    n_cases = len(table[["case_id", "fold"]].drop_duplicates())
    n_inputs = table["name"].nunique()
    # Several models explain the same cases of a prediction.
    n_explained = n_cases if run.by_fold is None else table["case_id"].nunique()
    thinned = f" Of more than {N_POINTS} cases, {N_POINTS} are drawn, evenly." if n_cases > N_POINTS else ""
    given, lacking = ("", "") if run.is_classical else (_GIVEN, " or a case lacks its branch")
    dot = "test case" if run.by_fold is None else "test case and a model"
    strongest = f"The strongest {_N_SHOWN} of {n_inputs} inputs. " if n_inputs > _N_SHOWN else ""
    caption = (
        f"{strongest}A dot is a {dot}: how far the input moved {output_text(run, units[0])} towards "
        f"{run.patients.label_names[-1]} (right) or away from it (left), against the training patients’ mean{given}. "
        "Bars: the mean distance over all explained cases, 0 where a fold’s model does not use the "
        f"input{lacking}; the longer, the more it matters to this model, not to the disease. "
        f"{_explained(run, n_explained)}{_no_input(run, unexplained)}{thinned} [Lundberg & Lee, NeurIPS 2017:4765]"
    )
    return Plan("shap", title, caption, draw_shap(table, unit=units[0]), shap_table(table))


def _without_inputs(run: FinishedRun) -> list[int]:
    return sorted(fold for fold, names in run.final_inputs.items() if not names)


def output_text(run: FinishedRun, unit: str) -> str:
    """What SHAP values of the unit move, in a sentence of the model: ``its calibrated probability``."""
    probability = "probability" if calibration_name(run) in (None, "none") else "calibrated probability"
    return f"the logit of its {probability}" if unit == "logit" else f"its {probability}"


def _explained(run: FinishedRun, n_cases: int) -> str:
    n_tested = n_cases if run.cases is None else sum(part == "test" for part in run.cases.parts)
    if n_cases >= n_tested:
        return f"{n_cases} cases."
    lacking = " Cases that lack a score are not." if run.config["model"].get("combine") == "mean" else ""
    return f"{n_cases} of {n_tested} test cases were explained.{lacking}"


def _no_input(run: FinishedRun, folds: Sequence[int]) -> str:
    if not folds:
        return ""
    return (
        f" In {len(folds)} of {run.n_folds} folds ({', '.join(map(str, folds))}) the model has no input at all and "
        "gives everybody the same probability: there is nothing to explain there, and the bars are of the other folds."
    )


def draw_shap(table: pd.DataFrame, *, unit: str) -> Figure:
    """The inputs by mean absolute SHAP value: dots of the cases, and bars.

    Args:
        table: Columns ``case_id, fold, name, value``; a case of a fold whose model does not use an input counts 0.
        unit: Of the values.
    """
    ranked, values = _drawn(table)
    names, ranking = [str(name) for name in ranked["name"]], ranked["strength"]
    heads, xlabels = ("Each case", "Mean"), (f"SHAP value ({unit})", f"Mean absolute ({unit})")
    with style():
        figure, (left, right) = draw_rows(names, heads=heads, xlabels=xlabels, shares=(0.64, 0.36))
        _draw_swarms(left, values)
        rows, top = np.arange(len(names)), float(ranking.max())
        right.barh(rows, ranking, height=0.42, color=BLUE, linewidth=0)
        for row, strength in enumerate(ranking):
            right.text(strength + 0.03 * top, row, f"{strength:.3g}", fontsize=6.5, va="center", color=MUTED)
        # All may be 0: no input moved any output.
        right.set(xlim=(0, 1.3 * top or 1))
        right.locator_params(axis="x", nbins=3)
        return figure


def shap_table(table: pd.DataFrame) -> pd.DataFrame:
    """A row per bar and one per dot; what is too much to be drawn is not in it."""
    ranked, values = _drawn(table)
    dots = [pd.DataFrame({"name": name, "value": of}) for name, of in zip(ranked["name"], values, strict=True)]
    return stacked(mean_absolute=ranked.drop(columns="note"), case=pd.concat(dots))


def _drawn(table: pd.DataFrame) -> tuple[pd.DataFrame, list[NDArray[np.float64]]]:
    """The strongest inputs, and the values of each that are drawn."""
    n_cases = len(table[["case_id", "fold"]].drop_duplicates())
    ranked = rank_attributions(table, n_cases).head(_N_SHOWN)
    values = {name: of.to_numpy(dtype=np.float64) for name, of in table.groupby("name")["value"]}
    return ranked, [thin(np.sort(values[name])) for name in ranked["name"]]


def thin(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sorted values, or as many of them as are drawn: evenly by rank, the extremes among them."""
    if len(values) <= N_POINTS:
        return values
    return values[np.linspace(0, len(values) - 1, N_POINTS).round().astype(np.intp)]


def swarm(values: NDArray[np.float64], *, width: float) -> NDArray[np.float64]:
    """Offsets within ±0.36 of a row, always the same: where values are dense they spread wider.

    Args:
        values: (N,) sorted.
        width: Of the whole axis, in the unit of the values.
    """
    bins = np.floor(values / (width / _N_BINS)).astype(np.intp) if width > 0 else np.zeros(len(values), np.intp)
    _, starts, counts = np.unique(bins, return_index=True, return_counts=True)
    offsets = np.zeros(len(values))
    for start, count in zip(starts, counts, strict=True):
        # The golden-ratio sequence is even at any length.
        spread = np.arange(start, start + count) * 0.6180339887498949 % 1 - 0.5
        offsets[start : start + count] = 0.72 * spread * (count - 1) / max(counts.max() - 1, 1)
    return offsets


def _draw_swarms(axes: Axes, values: Sequence[NDArray[np.float64]]) -> None:
    everything = np.concatenate(values)
    width = float(np.ptp(everything))
    for row, of_row in enumerate(values):
        axes.axhline(row, color=MUTED, linewidth=0.3, zorder=0)
        axes.scatter(of_row, row + swarm(of_row, width=width), s=4, color=BLUE, alpha=0.6, linewidths=0)
    axes.axvline(0, color=INK, linewidth=0.7, zorder=0)
    axes.margins(x=0.03)
