"""A sweep for people: sweep.json, its figures, and one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fusion.report.comparison_words import short_p
from fusion.report.figures.comparison import draw_luck, luck_table
from fusion.report.figures.importance import plan_importance
from fusion.report.figures.parallel_coordinates import plan_parallel_coordinates
from fusion.report.figures.style import Plan, percent_text
from fusion.report.figures.write import write_drawings
from fusion.report.html import page_environment
from fusion.report.sweep_words import findings, inner_note, run_name, warnings
from fusion.storage import atomic_path, write_json

_TEMPLATE = "sweep.html.j2"


def write_sweep(sweep: Mapping[str, Any], sweep_dir: Path) -> Path:
    """Write ``sweep.json``, ``figures/*.svg`` and ``sweep.html``; no request leaves the page.

    Args:
        sweep: The content of sweep.json.
        sweep_dir: Of the sweep; files of an earlier end are replaced.

    Returns:
        The path of the page.
    """
    write_json(sweep_dir / "sweep.json", sweep)
    drawings = write_drawings(_plans(sweep), sweep_dir / "figures")
    names = {run["folder"]: run_name(run, sweep["swept"]) for run in sweep["runs"]}
    page = (
        page_environment(p_value=short_p, percent=percent_text, seconds=_seconds)
        .get_template(_TEMPLATE)
        .render(
            s=sweep,
            drawings=drawings,
            names=names,
            facts=_facts(sweep),
            findings=findings(sweep, names),
            warnings=warnings(sweep),
            inner_note=inner_note(sweep),
            shows_test=[run for run in sweep["runs"] if run["test"]] != [],
        )
    )
    path = sweep_dir / "sweep.html"
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _plans(sweep: Mapping[str, Any]) -> Iterator[Plan]:
    ranked = [run for run in sweep["runs"] if run["rank"] is not None]
    yield plan_parallel_coordinates(ranked, sweep["swept"])
    yield plan_importance(sweep["importance"])
    best = sweep["best_of_k"]
    if best is not None and "absent" not in best:
        yield Plan(
            "luck",
            f"What the best of {best['k']} reaches by luck",
            f"The largest of {best['k']} test AUCs in {best['n_permutations']} shufflings of the labels, in which no "
            "run can know anything; the upright line is the largest test AUC observed.",
            draw_luck(best),
            luck_table(best),
        )


def _facts(sweep: Mapping[str, Any]) -> dict[str, str]:
    seconds = [run["seconds"] for run in sweep["runs"] if run["seconds"] is not None]
    states = ", ".join(f"{n} {state}" for state, n in sweep["states"].items())
    return {
        "Runs": f"{len(sweep['runs'])}: {states}",
        "Values that differ": ", ".join(sweep["swept"]) or "none",
        "Ranked by": "inner AUC alone",
        **({"Time of all runs": _seconds(sum(seconds))} if seconds else {}),
    }


def _seconds(seconds: float | None) -> str:
    """``4.2 s``, ``3 min``, ``2.5 h``."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    return f"{seconds / 60:.0f}\N{NO-BREAK SPACE}min" if seconds < 6000 else f"{seconds / 3600:.1f}\N{NO-BREAK SPACE}h"
