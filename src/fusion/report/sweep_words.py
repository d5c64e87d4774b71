"""A sweep in sentences: which run was chosen, what that is worth, and what warns of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fusion.report.comparison_words import short_p
from fusion.report.figures.style import interval_text, number_text

Sweep = Mapping[str, Any]


def run_name(run: Mapping[str, Any], swept: Sequence[str]) -> str:
    """A run by the values in which it differs from the others."""
    values = [f"{key}={run['values'][key]}" for key in swept if key in run["values"]]
    return ", ".join(values) or run["folder"]


def findings(sweep: Sweep, names: Mapping[str, str]) -> list[str]:
    """What was found, the most important first.

    Args:
        sweep: The content of sweep.json.
        names: Of the runs, by folder.
    """
    return [*_chosen(sweep, names), *_leading(sweep, names), *_luck(sweep, names)]


def warnings(sweep: Sweep) -> list[str]:
    """What the reader has to know before the figures."""
    return list(_warnings(sweep))


def inner_note(sweep: Sweep) -> str | None:
    """What kind of figure the inner score of the ranked runs is; None where no run is ranked."""
    inner = next((run["inner"] for run in sweep["runs"] if run["rank"] is not None), None)
    if inner is None:
        return None
    folds = f"; mean of {inner['n_folds']} folds" if inner["n_folds"] > 1 else ""
    who = f"Inner AUC: of {inner['n_patients']} training patients"
    if inner["n_inner_folds"] > 1 and inner["n_settings"] == 1:
        return (
            f"{who}, each predicted by a model that had seen it neither in fitting nor in stopping "
            f"({inner['n_inner_folds']} inner folds){folds}. No test patient takes part in it."
        )
    chose = (
        f"and the largest of {inner['n_settings']} settings’ (split.grid)"
        if inner["n_settings"] > 1
        else "whose loss also chose the epoch of a network (split.n_inner_folds=1)"
    )
    return f"{who}, {chose}: too high, for every run alike{folds}. No test patient takes part in it."


def _chosen(sweep: Sweep, names: Mapping[str, str]) -> Iterator[str]:
    ranked = [run for run in sweep["runs"] if run["rank"] is not None]
    if not ranked:
        yield (
            "No run was chosen: no two finished runs have inner scores that are figures of one kind; the table says of "
            "each why."
            if "finished" in sweep["states"]
            else "No run was chosen: none has finished."
        )
        return
    best = ranked[0]
    inner = number_text(best["inner"]["auc"], 3)
    of = f"of {len(ranked)} ranked runs" if len(ranked) > 1 else "and the only run that can be ranked"
    test = f" On the test patients its AUC is {interval_text(best['test']['auc'])}." if best["test"] else ""
    yield f"Chosen by inner AUC, {of}: {names[best['folder']]} ({inner}).{test}"


def _leading(sweep: Sweep, names: Mapping[str, str]) -> Iterator[str]:
    pairs = sweep["leading"].get("pairs", [])
    first = next((pair for pair in pairs if pair["better"] == sweep["chosen"]), None)
    if first is None:
        return
    difference = interval_text(first["difference"])
    p = f"p {'' if (first['p_holm'] or 1) < 0.001 else '= '}{short_p(first['p_holm'])}"
    yield (
        f"On the inner predictions it is above the next, {names[first['other']]}, by {difference}; {p} (Holm). Both "
        "were picked by these figures, so the difference is rather too large."
    )


def _luck(sweep: Sweep, names: Mapping[str, str]) -> Iterator[str]:
    best = sweep["best_of_k"]
    if best is None or "absent" in best:
        return
    yield (
        f"The largest test AUC of the {best['k']} runs is {number_text(best['auc'], 3)} ({names[best['best']]}). If "
        f"none of them knew anything, the largest would be above {number_text(best['luck']['best_q95'], 3)} once in "
        f"twenty cohorts; for one run that was not picked, that limit is {number_text(best['luck']['one_q95'], 3)}."
    )


def _warnings(sweep: Sweep) -> Iterator[str]:
    if sweep["is_simulated"]:
        yield "Simulated cohort: figures say nothing about patients."
    missing = {state: n for state, n in sweep["states"].items() if state not in ("finished", "pruned")}
    if missing:
        listed = ", ".join(f"{n} {state}" for state, n in missing.items())
        yield (
            f"Not all runs came to their end ({listed}). The same command with this folder as hydra.sweep.dir does "
            "those again, and no others."
        )
    if sweep["test"] == "all":
        yield (
            "The test figures of all runs are shown (sweep.test=all). A run that is picked by them has a figure that "
            "is too high for having been picked: report the chosen one."
        )
    if sweep["best_of_k"] is not None and "absent" in sweep["best_of_k"]:
        yield f"What the best of the test AUCs is worth could not be said. {sweep['best_of_k']['absent']}"
