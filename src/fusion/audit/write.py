"""The audit as ``check.json`` and as one page with thumbnails."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from fusion.audit.audit import Audit
from fusion.audit.finding import SEVERITIES
from fusion.audit.thumbnails import draw_pictures
from fusion.storage import atomic_path, write_json

_TEMPLATE = "template.html.j2"
# Groups of pictures of one finding on the page; check.json lists all.
_N_SHOWN = 60


class _Thumbnail(NamedTuple):
    """A picture on the page."""

    case_id: str
    source: str
    caption: str


def write_audit(audit: Audit, out_dir: Path) -> Path:
    """Write ``check.json`` (all figures and cases) and ``check.html`` (the same for people; it loads nothing).

    Returns:
        The path of the page.
    """
    write_json(out_dir / "check.json", as_json(audit))
    path = out_dir / "check.html"
    with atomic_path(path) as temporary:
        temporary.write_text(_page(audit), encoding="utf-8")
    return path


def as_json(audit: Audit) -> dict[str, Any]:
    """The content of ``check.json``."""
    return {
        "cohort": audit.cohort.name,
        "labels": list(audit.cohort.label_names),
        "n_findings": {severity: audit.count(severity) for severity in SEVERITIES},
        "summary": [asdict(summary) for summary in audit.summaries],
        "findings": [finding.as_json() for finding in audit.findings],
    }


def _page(audit: Audit) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        cohort=audit.cohort,
        summaries=audit.summaries,
        counts={severity: audit.count(severity) for severity in SEVERITIES},
        findings=list(zip(audit.findings, _thumbnails(audit), strict=True)),
        n_rows=_N_SHOWN,
    )


def _thumbnails(audit: Audit) -> list[list[list[_Thumbnail]]]:
    """Groups of thumbnails of each finding."""
    shown = [finding.pictures[:_N_SHOWN] for finding in audit.findings]
    pictures = [picture for groups in shown for group in groups for picture in group]
    sources = iter(draw_pictures(pictures, {case.case_id: case for case in audit.cohort.cases}))
    return [
        [[_Thumbnail(one.case_id, next(sources), one.caption) for one in group] for group in groups] for groups in shown
    ]
