"""Numbers first, then figures from them, then one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from fusion.records import Predictions
from fusion.report.explained import explained
from fusion.report.figures.style import BLUE, INK, MUTED, PAPER
from fusion.report.figures.write import Drawing, write_figures
from fusion.report.flow import flow_groups, flow_sentences
from fusion.report.hidden import hidden_copy
from fusion.report.inner import inner_text
from fusion.report.limitations import limitations, warnings
from fusion.report.methods import RANDOM_START, methods, split_text, starts_at_random
from fusion.report.mistakes import worst_mistakes
from fusion.report.patients import patient_views, rule_text
from fusion.report.pictures import embed_large
from fusion.report.recipe import recipe
from fusion.report.run_folder import FinishedRun, read_run
from fusion.report.summary import certainty, failures, of_whom
from fusion.report.table_one import TESTS, table_one_tables
from fusion.report.tables import (
    alone_caption,
    center_tables,
    direction_text,
    operating_point_tables,
    part_tables,
    reader_name,
    reader_tables,
)
from fusion.report.verdicts import verdicts
from fusion.runs.pseudonyms import Naming
from fusion.storage import atomic_path

_TEMPLATE = "template.html.j2"
_PAGE = "report.html"
_SCRIPT = "page.js"
_N_MISTAKES = 10
_N_OVERLAYS = 24
# Every one takes about 12 kB of the page.
_N_PATIENTS = 1000


class Overlay(NamedTuple):
    """An attribution overlay in the gallery."""

    case_id: str
    source: str
    caption: str


def write_report(
    run_dir: Path,
    *,
    naming: Naming | None = None,
    guidelines: Mapping[str, Any] | None = None,
    methods_section: Mapping[str, str] | None = None,
) -> Path:
    """Write ``figures/`` and ``report.html`` of a finished run; no request leaves the page.

    Args:
        run_dir: With config.yaml, manifest.json, metrics.json and predictions.csv; every other file is optional, and
            the page says what is missing.
        naming: What patients and cases are called in the figures and on the page; None: what they are called in the
            run.
        guidelines: By name of a guideline its items with their answers, as in ``checklist.json``; they name no
            patient. None or none: the page has no part of it.
        methods_section: Paragraphs by heading, as in ``methods.md``; likewise.

    Returns:
        The path of the page.

    Raises:
        InputError: With every file that is missing or unreadable.
    """
    return write_page(run_dir, naming=naming, render=lambda run: _render(run, guidelines, methods_section))


def write_page(run_dir: Path, *, naming: Naming | None, render: Callable[[FinishedRun], str]) -> Path:
    """Write ``figures/`` and ``report.html``, of the folder or of a copy of it in which ids have other names.

    Args:
        run_dir, naming: As of ``write_report``.
        render: Writes the figures of what was read, and returns the page.

    Raises:
        InputError: With every file that is missing or unreadable.
    """
    # Before there is a copy, so that what is wrong with the folder is told with the folder's own name.
    run = read_run(run_dir)
    if naming is None:
        return _write(run_dir, render(run))
    with hidden_copy(run_dir, naming) as copy:
        page = render(read_run(copy))
        shutil.rmtree(run_dir / "figures", ignore_errors=True)
        for source in (copy / "figures").rglob("*.*"):
            with atomic_path(run_dir / source.relative_to(copy)) as temporary:
                shutil.copyfile(source, temporary)
    return _write(run_dir, page)


def _write(run_dir: Path, page: str) -> Path:
    path = run_dir / _PAGE
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _render(run: FinishedRun, guidelines: Mapping[str, Any] | None, methods_section: Mapping[str, str] | None) -> str:
    page = page_context(run, write_figures(run)) | _context(run)
    return report_template(_TEMPLATE).render(page, guidelines=guidelines, methods_section=methods_section)


def report_template(name: str) -> Template:
    """Of a page that shows patients."""
    return page_environment(percent=_percent, p_value=_p_value, reader_name=reader_name).get_template(name)


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


def page_context(run: FinishedRun, drawings: Mapping[str, Drawing]) -> dict[str, Any]:
    """What a page of a run shows, and one of its application to other patients as well."""
    # Under repeated cross-validation a patient may be mistaken several times; the worst one is shown.
    mistakes = list({mistake.patient_id: mistake for mistake in reversed(worst_mistakes(run))}.values())[::-1]
    of_readers, script = reader_tables(run), _script()
    pictures = embed_large({unquote(name): path for name, path in run.overlays.items()})
    judged = verdicts(run)
    patients = patient_views(run, judged[:_N_PATIENTS], pictures)
    n_tested, split = len(set(run.test.patient_ids)), run.config.get("split")
    return {
        "run": run,
        "metrics": run.metrics,
        "manifest": run.manifest,
        "cohort": run.config["cohort"].get("name") or "unnamed",
        "positive": run.patients.label_names[-1],
        "others": " or ".join(run.patients.label_names[:-1]),
        "certainty": certainty(run),
        "failures": failures(run, judged),
        "patients": patients,
        "n_others": len(judged) - len(patients),
        "has_thumbnails": any(case.thumbnail for patient in patients for case in patient.cases),
        "numbers_of_patients": {patient.verdict.patient_id: number for number, patient in enumerate(patients, 1)},
        "numbers_of_cases": {
            case.case_id: number for number, patient in enumerate(patients, 1) for case in patient.cases
        },
        "rule_text": rule_text(run),
        "script": Markup(script),  # The package's own file.
        "script_digest": _digest(script),
        "drawings": drawings,
        "warnings": warnings(run),
        "limitations": limitations(run),
        "operating_point_tables": operating_point_tables(run),
        "reader_tables": of_readers,
        "reader_directions": direction_text(of_readers),
        "inner_text": inner_text(run),
        "explained": explained(run),
        "published": _published(run),
        "random_start": RANDOM_START if starts_at_random(run) else None,
        "mistakes": mistakes[:_N_MISTAKES],
        "n_mistakes": len(mistakes),
        "n_tested": n_tested,
        "is_repeated": n_tested < len(run.test.patient_ids),
        "is_left_out": isinstance(split, Mapping) and split.get("name") == "leave_one_center_out",
        "overlays": _overlays(run, pictures),
        "config_text": yaml.safe_dump(dict(run.config), sort_keys=False, allow_unicode=True),
    }


def _context(run: FinishedRun) -> dict[str, Any]:
    label_names = run.patients.label_names
    return {
        "title": run.config.get("name") or run.path.name,
        "facts": _facts(run),
        "of_whom": of_whom(run),
        "whom": "whom their model had never seen",
        "told_by": "the fused model" if run.is_fused and not run.is_classical else "the model",
        "part_tables": part_tables(run),
        "center_tables": center_tables(run),
        "methods": methods(run),
        "recipe": recipe(run),
        "alone_caption": alone_caption(run) if run.metrics.get("branches") and run.metrics.get("test") else None,
        "table_one": table_one_tables(run.table_one),
        "tests": TESTS,
        "flow_sentences": flow_sentences(run.flow, label_names=label_names) if run.flow else [],
        "flow_groups": flow_groups(run.flow, label_names=label_names) if run.flow else [],
    }


def _facts(run: FinishedRun) -> dict[str, str]:
    labels = dict(zip(run.patients.patient_ids, run.patients.labels, strict=True))
    counts = {name: list(labels.values()).count(name) for name in run.patients.label_names}
    return {
        "Patients": f"{len(labels)}",
        "Labels": ", ".join(f"{count} {name}" for name, count in counts.items()),
        "Centers": f"{len(set(run.patients.centers))}" if run.names_centers else "not named",
        "Test patients": f"{len(set(run.test.patient_ids))}",
        "Split": split_text(run),
    }


def _script() -> str:
    return (Path(__file__).parent / _SCRIPT).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """By which the page's policy knows its one script; another one, of whatever origin, does not run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _published(run: FinishedRun) -> Mapping[str, Any] | None:
    """What a paper reported of such a model: its ``value`` and ``source``."""
    published = run.config.get("published")
    return published if isinstance(published, Mapping) and published.get("value") is not None else None


def _overlays(run: FinishedRun, pictures: Mapping[str, str]) -> list[Overlay]:
    """The worst and the best judged cases: half of the gallery each."""
    captions = dict(_by_probability_of_own_label(run.cases)) if run.cases is not None else {}
    ordered = [case_id for case_id in captions if case_id in pictures]
    ordered += [case_id for case_id in pictures if case_id not in captions]
    if len(ordered) > _N_OVERLAYS:
        ordered = ordered[: _N_OVERLAYS // 2] + ordered[-_N_OVERLAYS // 2 :]
    return [Overlay(case_id, pictures[case_id], captions.get(case_id, "")) for case_id in ordered]


def _by_probability_of_own_label(cases: Predictions) -> list[tuple[str, str]]:
    """Labeled test cases and their captions, the worst judged first."""
    assert cases.case_ids is not None
    found = []
    for row, (case_id, label) in enumerate(zip(cases.case_ids, cases.labels, strict=True)):
        if cases.parts[row] == "test" and label in cases.label_names:
            own = float(cases.probabilities[row][cases.label_names.index(label)])
            found.append((own, case_id, f"{label}, given {_percent(own)}"))
    return [(case_id, caption) for _, case_id, caption in sorted(found)]


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _p_value(p: float | None) -> str:
    """``0.034``; below a thousandth only that."""
    if p is None:
        return "not defined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
