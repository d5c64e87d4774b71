"""What mattered most, as bars: surviving radiomics features, and attributions of the tabular inputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fusion.report.figures.style import BLUE, COLUMN_IN, MUTED, Plan, short_text, style
from fusion.report.run_folder import FinishedRun

_N_SHOWN = 20
_N_NAME = 62  # of the small type, in one column


def plan_features(run: FinishedRun) -> Plan:
    """The surviving radiomics features."""
    caption = (
        "Mean absolute weight over the folds, 0 where a feature did not survive; the strongest "
        f"{_N_SHOWN}. A feature that survives in few folds is a matter of chance."
    )
    return _plan("features", "Radiomics features that survived", caption, _features(run), "Mean absolute weight")


def plan_attribution(run: FinishedRun, branch: str) -> Plan:
    """The inputs of a tabular branch."""
    caption = (
        f"Mean absolute attribution over the explained cases, the strongest {_N_SHOWN}. A longer bar moved the output "
        "more, up or down; it does not say why."
    )
    title = f"Attribution of the {branch} inputs"
    ranking = _attribution(run, branch)
    return _plan(f"attribution_{branch}", title, caption, ranking, "Mean absolute attribution")


def draw_ranking(ranking: pd.DataFrame, xlabel: str) -> Figure:
    """Horizontal bars from (``name``, ``strength``, ``note``), the names above their bars: they are long."""
    with style():
        n_rows = len(ranking)
        figure = Figure(figsize=(COLUMN_IN, 0.27 * n_rows + 0.55))
        axes = figure.subplots()
        rows = np.arange(n_rows)
        axes.barh(rows, ranking["strength"], height=0.28, color=BLUE, linewidth=0)
        top = float(ranking["strength"].max())
        for row, (name, strength, note) in enumerate(ranking[["name", "strength", "note"]].itertuples(index=False)):
            axes.text(0, row - 0.24, short_text(name, _N_NAME), fontsize=6.5, va="bottom")
            axes.text(strength + 0.015 * top, row, note, fontsize=6, va="center", color=MUTED)
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        # All strengths may be 0: no input moved any output.
        axes.set(ylim=(n_rows - 0.6, -0.9), xlim=(0, 1.25 * top or 1), xlabel=xlabel)
        return figure


def rank_features(features: pd.DataFrame, n_folds: int) -> pd.DataFrame:
    """The surviving features by mean absolute weight over all folds, a fold without the feature counting 0.

    Args:
        features: Columns ``fold, feature, weight``.
        n_folds: Of the run.

    Returns:
        Columns ``name, strength, n_folds, note``, the strongest first.
    """
    survived = features[features["weight"] != 0]
    grouped = survived.assign(strength=survived["weight"].abs()).groupby("feature", sort=True)
    table = grouped.agg(strength=("strength", "sum"), n_folds=("fold", "nunique")).reset_index()
    table = table.assign(
        strength=table["strength"] / n_folds,
        note=[f"{count} of {n_folds} folds" if n_folds > 1 else "" for count in table["n_folds"]],
    )
    ranked = table.rename(columns={"feature": "name"}).sort_values(["strength", "name"], ascending=[False, True])
    return ranked.reset_index(drop=True)


def rank_attributions(attributions: pd.DataFrame, n_cases: int) -> pd.DataFrame:
    """Inputs by mean absolute attribution over cases: columns ``name, strength, note``, the strongest first.

    Args:
        attributions: Columns ``name, value``; a case without a row of an input counts 0.
        n_cases: That were explained.
    """
    strengths = attributions.assign(strength=attributions["value"].abs()).groupby("name")["strength"].sum() / n_cases
    table = strengths.reset_index().assign(note="")
    return table.sort_values(["strength", "name"], ascending=[False, True]).reset_index(drop=True)


def _plan(name: str, title: str, caption: str, ranking: pd.DataFrame | str, xlabel: str) -> Plan:
    if isinstance(ranking, str):
        return Plan(name, title, caption, ranking)
    shown = ranking.head(_N_SHOWN)
    return Plan(name, title, caption, draw_ranking(shown, xlabel), shown)


def _features(run: FinishedRun) -> pd.DataFrame | str:
    if run.features is None:
        return "The run has no features.csv: it has no radiomics branch."
    ranking = rank_features(run.features, run.n_folds)
    if ranking.empty:
        return "No radiomics feature survived the L1 penalty in any fold."
    return ranking


def _attribution(run: FinishedRun, branch: str) -> pd.DataFrame | str:
    if branch not in run.attributions or run.attributions[branch].empty:
        return f"The run has no attributions of the {branch} inputs (attributions/{branch}.csv)."
    # What moved nothing has no row: a case may be in the table of another branch only.
    tables = [run.attributions[name] for name in ("radiomics", "clinical") if name in run.attributions]
    explained = pd.concat([table[["case_id", "fold"]] for table in tables]).drop_duplicates()
    return rank_attributions(run.attributions[branch], len(explained))
