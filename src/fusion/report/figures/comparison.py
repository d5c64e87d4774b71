"""Figures of a comparison: each model's AUC, the differences, what luck gives, and what the best one looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fusion.report.comparison_notes import input_caption, input_unit
from fusion.report.comparison_pairs import Selection, Shown, shown_pairs
from fusion.report.comparison_words import short_p
from fusion.report.figures.forest import N_NAME, Row, draw_forest, forest_table
from fusion.report.figures.ranking import draw_ranking
from fusion.report.figures.style import (
    BLUE,
    COLUMN_IN,
    DASHED,
    INK,
    MUTED,
    Estimate,
    Plan,
    percent_text,
    short_text,
    stacked,
    style,
)

# More rows than this are a table, not a figure.
_MOST_ROWS = 45


def plan_comparison(comparison: Mapping[str, Any]) -> Iterator[Plan]:
    """The figures that the content of comparison.json is enough for."""
    level = percent_text(comparison["level"])
    is_binary = len(comparison["label_names"]) == 2
    kind = "AUC" if is_binary else "Mean one-vs-rest AUC"
    interval = "DeLong’s on the logit scale" if is_binary else "a bootstrap of patients"
    yield Plan(
        "models",
        "How well each model tells the labels apart",
        f"{kind} with its {level} interval ({interval}), in the order in which the models were given; the dashed line "
        "is chance, further to the right is better. Intervals that overlap do not show that two models are alike: the "
        "patients are the same, and the differences have intervals of their own.",
        *_models(comparison, f"{kind} ({level} interval)"),
    )
    test = "DeLong’s paired" if is_binary else "a paired bootstrap’s"
    selection = shown_pairs(comparison, most=_MOST_ROWS)
    yield Plan(
        "differences",
        "How far apart they are",
        f"Difference in {kind.removeprefix('Mean ')} on the same patients, with its {level} interval ({test}); right "
        f"of the dashed line {_better(selection)}. p is corrected for the number of all comparisons (Holm), and holds "
        "for these trained models: another training gives others." + _not_drawn(selection),
        *_differences(comparison, selection, f"Difference ({level} interval)"),
    )
    best = comparison["best_of_k"]
    if best is not None and best["k"] > 2:
        yield Plan(
            "luck",
            f"What the best of {best['k']} reaches by luck",
            f"The largest of the {best['k']} AUCs in {best['n_permutations']} shufflings of the labels, in which no "
            "model can know anything; the upright line is the largest AUC observed.",
            draw_luck(best),
            luck_table(best),
        )
    if comparison["inputs"] is not None:
        yield _plan_inputs(comparison["inputs"])


def luck_table(best: Mapping[str, Any]) -> pd.DataFrame:
    """A row per bar, and one per upright line."""
    edges, counts = best["histogram"]["edges"], best["histogram"]["counts"]
    return stacked(
        shufflings=pd.DataFrame({"auc_low": edges[:-1], "auc_high": edges[1:], "n": counts}),
        below_it_are_19_of_20=pd.DataFrame({"auc": [best["luck"]["best_q95"]]}),
        observed=pd.DataFrame({"auc": [best["auc"]]}),
    )


def draw_luck(best: Mapping[str, Any]) -> Figure:
    """Histogram of the best AUC under permutation, with the observed best."""
    edges, counts = best["histogram"]["edges"], best["histogram"]["counts"]
    with style():
        figure = Figure(figsize=(COLUMN_IN, 2.2))
        axes = figure.subplots()
        axes.stairs(counts, edges, fill=True, color=MUTED, alpha=0.45, linewidth=0)
        axes.axvline(best["luck"]["best_q95"], color=INK, linewidth=0.8, linestyle=DASHED)
        axes.axvline(best["auc"], color=BLUE, linewidth=1.6)
        low, high = min(edges[0], best["auc"]) - 0.02, max(edges[-1], best["auc"]) + 0.02
        axes.set(xlim=(low, high), ylim=(0, 1.28 * max(counts)), xlabel="Largest AUC", ylabel="Shufflings")
        for x, text, color, height in (
            (best["luck"]["best_q95"], "19 of 20 are below", INK, 0.99),
            (best["auc"], f"observed, {best['auc']:.3f}", BLUE, 0.88),
        ):
            is_right = x > (low + high) / 2
            written = axes.annotate(
                text,
                (x, height),
                (-3 if is_right else 3, 0),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                ha="right" if is_right else "left",
                va="top",
                fontsize=6.5,
                color=color,
            )
            written.set_in_layout(False)
        return figure


def _plan_inputs(inputs: Mapping[str, Any]) -> Plan:
    title = "The strongest inputs"
    if "absent" in inputs:
        return Plan("inputs", title, "", inputs["absent"])
    n_folds = inputs["n_folds"]
    notes = [f"{of['n_folds']} of {n_folds} folds" if n_folds > 1 else "" for of in inputs["ranking"]]
    table = pd.DataFrame(inputs["ranking"]).assign(note=notes)
    return Plan("inputs", title, input_caption(inputs), draw_ranking(table, input_unit(inputs)), table)


def _models(comparison: Mapping[str, Any], numbers: str) -> tuple[Figure | str, pd.DataFrame | None]:
    models = comparison["models"]
    if comparison["best_of_k"] is None:
        return "The test patients do not have all labels, so no AUC is defined.", None
    if len(models) > _MOST_ROWS:
        return "There are too many models for a figure; the table has them all.", None
    rows = [
        Row(
            f"{model['name']} (primary)" if model["is_primary"] else model["name"],
            str(model["figures"]["auc"]["n"]),
            model["figures"]["auc"],
        )
        for model in models
    ]
    heads = ("Model", "Patients", numbers)
    return draw_forest(rows, heads=heads, xlabel="AUC", reference=0.5), forest_table(rows, heads=heads)


def _better(selection: Selection) -> str:
    return f"a model is better than {selection.reference}" if selection.reference else "the first is better"


def _not_drawn(selection: Selection) -> str:
    if len(selection.pairs) == selection.n_all:
        return ""
    return (
        f" Of {selection.n_all} pairs these are the ones with {selection.reference}, the best by inner AUC; the tables "
        "have them all."
    )


def _differences(
    comparison: Mapping[str, Any], selection: Selection, numbers: str
) -> tuple[Figure | str, pd.DataFrame | None]:
    if comparison["best_of_k"] is None:
        return "The test patients do not have all labels, so no AUC is defined.", None
    if len(selection.pairs) > _MOST_ROWS:
        return "There are too many pairs for a figure; the table has them all. A primary model makes fewer.", None
    reference = selection.reference
    rows = [Row(pair.model if reference else _pair_name(pair), short_p(pair.p), pair.auc) for pair in selection.pairs]
    head = f"Difference from {short_text(reference, 24)}" if reference else "Models"
    heads = (head, "p (Holm)", numbers)
    figure = draw_forest(rows, heads=heads, xlabel="Difference in AUC", reference=0.0)
    # The second axes are the plot, the first the page; a difference is centered on 0, unlike an AUC.
    figure.axes[1].set_xlim(*_around_zero([pair.auc for pair in selection.pairs]))
    return figure, forest_table(rows, heads=heads)


def _pair_name(pair: Shown) -> str:
    """In one line, or each model in its own: cut as a whole, a long name would lose the word between the two."""
    name = f"{pair.model} minus {pair.reference}"
    minus = "minus "
    shortened = short_text(pair.model, N_NAME), f"{minus}{short_text(pair.reference, N_NAME - len(minus))}"
    return name if len(name) <= N_NAME else "\n".join(shortened)


def _around_zero(differences: Sequence[Estimate]) -> tuple[float, float]:
    ends = [abs(d[key]) for d in differences for key in ("value", "ci_low", "ci_high") if d[key] is not None]
    reach = 1.08 * max([*ends, 0.01])
    return -reach, reach
