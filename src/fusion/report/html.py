"""Numbers first, then figures from them, then one self-contained HTML file."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fusion.records import Predictions
from fusion.report.figures.style import BLUE, INK, MUTED, PAPER
from fusion.report.figures.write import Drawing, write_figures
from fusion.report.inner import inner_text
from fusion.report.limitations import limitations, warnings
from fusion.report.methods import RANDOM_START, methods, split_text, starts_at_random
from fusion.report.mistakes import worst_mistakes
from fusion.report.recipe import recipe
from fusion.report.run_folder import FinishedRun, read_run
from fusion.report.tables import (
    alone_caption,
    center_tables,
    direction_text,
    operating_point_tables,
    part_tables,
    reader_name,
    reader_tables,
)
from fusion.storage import atomic_path

_TEMPLATE = "template.html.j2"
_N_MISTAKES = 10
_N_OVERLAYS = 24
_N_CENTER_NAMES = 90  # in characters; longer lists are left to the table of centers


class Overlay(NamedTuple):
    """An attribution overlay in the gallery."""

    case_id: str
    source: str
    caption: str


def write_report(run_dir: Path) -> Path:
    """Write ``figures/*.svg`` and ``report.html`` of a finished run; no request leaves the page.

    Args:
        run_dir: With config.yaml, manifest.json, metrics.json and predictions.csv; every other file is optional, and
            the page says what is missing.

    Returns:
        The path of the page.

    Raises:
        InputError: With every file that is missing or unreadable.
    """
    run = read_run(run_dir)
    page = (
        page_environment(percent=_percent, p_value=_p_value, reader_name=reader_name)
        .get_template(_TEMPLATE)
        .render(_context(run, write_figures(run)))
    )
    path = run_dir / "report.html"
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def inline_svg(drawing: Drawing) -> Markup:
    """The figure's SVG as part of the page: its ids made its own, its ink, gray, blue and paper those of the page."""
    assert drawing.path is not None
    svg = drawing.path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{drawing.name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{drawing.name}-", svg)
    for color, variable in ((INK, "--ink"), (MUTED, "--muted"), (BLUE, "--blue"), (PAPER, "--paper")):
        svg = re.sub(color, f"var({variable})", svg, flags=re.IGNORECASE)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(drawing.title)}"', 1))


def page_environment(**filters: Callable[..., str]) -> Environment:
    """Of the pages' templates: what is not markup is escaped, and a name that is unknown is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(inline_svg=inline_svg, **filters)
    return environment


def _context(run: FinishedRun, drawings: Mapping[str, Drawing]) -> dict[str, Any]:
    # Under repeated cross-validation a patient may be mistaken several times; the worst one is shown.
    mistakes = list({mistake.patient_id: mistake for mistake in reversed(worst_mistakes(run))}.values())[::-1]
    of_readers = reader_tables(run)
    n_tested, split = len(set(run.test.patient_ids)), run.config.get("split")
    return {
        "run": run,
        "metrics": run.metrics,
        "manifest": run.manifest,
        "title": run.config.get("name") or run.path.name,
        "cohort": run.config["cohort"].get("name") or "unnamed",
        "facts": _facts(run),
        "positive": run.patients.label_names[-1],
        "others": " or ".join(run.patients.label_names[:-1]),
        "drawings": drawings,
        "warnings": warnings(run),
        "limitations": limitations(run),
        "part_tables": part_tables(run),
        "center_tables": center_tables(run),
        "operating_point_tables": operating_point_tables(run),
        "reader_tables": of_readers,
        "reader_directions": direction_text(of_readers),
        "inner_text": inner_text(run),
        "methods": methods(run),
        "recipe": recipe(run),
        "alone_caption": alone_caption(run) if run.metrics.get("branches") and run.metrics.get("test") else None,
        "published": _published(run),
        "random_start": RANDOM_START if starts_at_random(run) else None,
        "mistakes": mistakes[:_N_MISTAKES],
        "n_mistakes": len(mistakes),
        "n_tested": n_tested,
        "is_repeated": n_tested < len(run.test.patient_ids),
        "is_left_out": isinstance(split, Mapping) and split.get("name") == "leave_one_center_out",
        "overlays": _overlays(run),
        "config_text": yaml.safe_dump(dict(run.config), sort_keys=False, allow_unicode=True),
    }


def _facts(run: FinishedRun) -> dict[str, str]:
    patients = run.patients
    labels = dict(zip(patients.patient_ids, patients.labels, strict=True))
    counts = {name: list(labels.values()).count(name) for name in patients.label_names}
    centers = sorted(set(patients.centers))
    names = ", ".join(centers)
    return {
        "Patients": f"{len(labels)}",
        "Labels": ", ".join(f"{count} {name}" for name, count in counts.items()),
        "Centers": f"{len(centers)}" + (f": {names}" if len(names) <= _N_CENTER_NAMES else ""),
        "Test patients": f"{len(set(run.test.patient_ids))}",
        "Split": split_text(run),
    }


def _published(run: FinishedRun) -> Mapping[str, Any] | None:
    """What a paper reported of such a model: its ``value`` and ``source``."""
    published = run.config.get("published")
    return published if isinstance(published, Mapping) and published.get("value") is not None else None


def _overlays(run: FinishedRun) -> list[Overlay]:
    """The worst and the best judged cases: half of the gallery each."""
    judged = _by_probability_of_own_label(run.cases) if run.cases is not None else []
    known = [(case_id, caption) for case_id, caption in judged if case_id in run.overlays]
    others = [(case_id, "") for case_id in run.overlays if case_id not in dict(known)]
    ordered = known + others
    if len(ordered) > _N_OVERLAYS:
        ordered = ordered[: _N_OVERLAYS // 2] + ordered[-_N_OVERLAYS // 2 :]
    return [Overlay(case_id, _data_uri(run.overlays[case_id]), caption) for case_id, caption in ordered]


def _by_probability_of_own_label(cases: Predictions) -> list[tuple[str, str]]:
    """Labeled test cases and their captions, the worst judged first."""
    assert cases.case_ids is not None
    found = []
    for row, (case_id, label) in enumerate(zip(cases.case_ids, cases.labels, strict=True)):
        if cases.parts[row] == "test" and label in cases.label_names:
            own = float(cases.probabilities[row][cases.label_names.index(label)])
            found.append((own, case_id, f"{label}, given {_percent(own)}"))
    return [(case_id, caption) for _, case_id, caption in sorted(found)]


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _p_value(p: float | None) -> str:
    """``0.034``; below a thousandth only that."""
    if p is None:
        return "not defined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
