"""Draw every figure of a run that has the numbers for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from fusion.report.figures.calibration import plan_calibration
from fusion.report.figures.centers import plan_centers
from fusion.report.figures.decision import plan_decision
from fusion.report.figures.dependence import plan_dependence
from fusion.report.figures.distances import plan_distances
from fusion.report.figures.distribution import plan_distribution
from fusion.report.figures.flow import plan_flow
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

# It tells of every glyph that it puts into a PDF.
logging.getLogger("fontTools").setLevel(logging.WARNING)
SUFFIXES = (".svg", ".pdf", ".csv")
# Neither a date nor a version: the same run gives the same bytes.
_METADATA = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
}


class Drawing(NamedTuple):
    """A figure's SVG, with a PDF and the CSV that it was drawn from beside it; or the reason why there is none."""

    name: str
    title: str
    caption: str
    path: Path | None
    absent: str | None


def write_figures(run: FinishedRun) -> dict[str, Drawing]:
    """Write every figure that the run has the numbers for into ``figures``; the same run, the same bytes.

    A figure that the run knows nothing of (one of an older run, say) is not among the drawings; one that cannot be
    drawn is, with the reason.
    """
    return write_drawings(_plans(run), run.path / "figures")


def write_drawings(plans: Iterable[Plan], folder: Path) -> dict[str, Drawing]:
    """Write ``<name>.svg``, ``.pdf`` and ``.csv`` of every plan; figures of an earlier time do not stay behind.

    Where a plan has only a text in its figure's place, no file is written.
    """
    drawings = {plan.name: _write_drawing(plan, folder / f"{plan.name}.svg") for plan in plans}
    kept = {name for name, drawing in drawings.items() if drawing.path is not None}
    for path in folder.glob("*"):
        if path.suffix in SUFFIXES and path.stem not in kept:
            path.unlink()
    return drawings


def _plans(run: FinishedRun) -> Iterator[Plan]:
    if (flow := plan_flow(run.flow, label_names=run.patients.label_names)) is not None:
        yield flow
    yield plan_roc(run)
    yield plan_roc_centers(run)
    yield plan_distribution(run)
    optional = (plan_calibration, plan_decision, plan_impact, plan_learning, plan_centers)
    yield from (plan for planned in optional if (plan := planned(run)) is not None)
    yield from plan_subgroups(run)
    if run.applicability is not None:
        yield from _of_prediction(run)
    else:
        yield from _of_classical(run) if run.is_classical else _of_network(run)


def _of_prediction(run: FinishedRun) -> Iterator[Plan]:
    optional = (plan_distances, plan_shap, plan_dependence)
    yield from (plan for planned in optional if (plan := planned(run)) is not None)


def _of_classical(run: FinishedRun) -> Iterator[Plan]:
    yield from (plan for planned in (plan_nomogram, plan_shap, plan_dependence) if (plan := planned(run)) is not None)
    yield from plan_selection(run)
    yield from plan_lasso(run)


def _of_network(run: FinishedRun) -> Iterator[Plan]:
    yield plan_gates(run)
    yield plan_features(run)
    yield from (plan for planned in (plan_shap, plan_dependence) if (plan := planned(run)) is not None)
    yield plan_attribution(run, "radiomics")
    yield plan_attribution(run, "clinical")


def _write_drawing(plan: Plan, path: Path) -> Drawing:
    if isinstance(plan.figure, str):
        return Drawing(plan.name, plan.title, plan.caption, None, plan.figure)
    _save(plan.figure, path)
    # It is laid out by now, and once is enough.
    plan.figure.set_layout_engine("none")
    _save(plan.figure, path.with_suffix(".pdf"))
    if plan.table is not None:
        with atomic_path(path.with_suffix(".csv")) as temporary:
            plan.table.to_csv(temporary, index=False, lineterminator="\n")
    return Drawing(plan.name, plan.title, plan.caption, path, None)


def _save(figure: Figure, path: Path) -> None:
    kind = path.suffix.removeprefix(".")
    with atomic_path(path) as temporary, style():
        figure.savefig(temporary, format=kind, metadata=_METADATA[kind])
