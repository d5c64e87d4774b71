"""Draw every figure of a run that has the numbers for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fusion.report.figures.calibration import plan_calibration
from fusion.report.figures.centers import plan_centers
from fusion.report.figures.decision import plan_decision
from fusion.report.figures.distribution import plan_distribution
from fusion.report.figures.gates import plan_gates
from fusion.report.figures.impact import plan_impact
from fusion.report.figures.lasso import plan_lasso
from fusion.report.figures.learning import plan_learning
from fusion.report.figures.nomogram import plan_nomogram
from fusion.report.figures.ranking import plan_attribution, plan_features
from fusion.report.figures.roc import plan_roc, plan_roc_centers
from fusion.report.figures.selection import plan_selection
from fusion.report.figures.shap import plan_shap
from fusion.report.figures.style import Plan, style
from fusion.report.figures.subgroups import plan_subgroups
from fusion.report.run_folder import FinishedRun
from fusion.storage import atomic_path


class Drawing(NamedTuple):
    """A figure's file, or the reason why there is none."""

    name: str
    title: str
    caption: str
    path: Path | None
    absent: str | None


def write_figures(run: FinishedRun) -> dict[str, Drawing]:
    """Write ``figures/<name>.svg`` for every figure that the run has the numbers for; the same run, the same bytes.

    A figure that the run knows nothing of (one of an older run, say) is not among the drawings; one that cannot be
    drawn is, with the reason. Figures of an earlier time do not stay behind.
    """
    folder = run.path / "figures"
    drawings = {plan.name: write_drawing(plan, folder / f"{plan.name}.svg") for plan in _plans(run)}
    for path in folder.glob("*.svg"):
        if path.stem not in drawings:
            path.unlink()
    return drawings


def _plans(run: FinishedRun) -> Iterator[Plan]:
    yield plan_roc(run)
    yield plan_roc_centers(run)
    yield plan_distribution(run)
    optional = (plan_calibration, plan_decision, plan_impact, plan_learning, plan_centers)
    yield from (plan for planned in optional if (plan := planned(run)) is not None)
    yield from plan_subgroups(run)
    yield from _of_classical(run) if run.is_classical else _of_network(run)


def _of_classical(run: FinishedRun) -> Iterator[Plan]:
    yield from (plan for planned in (plan_nomogram, plan_shap) if (plan := planned(run)) is not None)
    yield from plan_selection(run)
    yield from plan_lasso(run)


def _of_network(run: FinishedRun) -> Iterator[Plan]:
    yield plan_gates(run)
    yield plan_features(run)
    shap = plan_shap(run)
    if shap is not None:
        yield shap
    yield plan_attribution(run, "radiomics")
    yield plan_attribution(run, "clinical")


def write_drawing(plan: Plan, path: Path) -> Drawing:
    """Write a plan's figure as SVG; where there is only a text in its place, no file stays."""
    if isinstance(plan.figure, str):
        path.unlink(missing_ok=True)
        return Drawing(plan.name, plan.title, plan.caption, None, plan.figure)
    with atomic_path(path) as temporary, style():
        plan.figure.savefig(temporary, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Drawing(plan.name, plan.title, plan.caption, path, None)
