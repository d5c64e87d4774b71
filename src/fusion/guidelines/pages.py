"""Checklists and model card as HTML and Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import fusion.report
from fusion.guidelines.checklist import STATUSES, Checklist, as_plain
from fusion.guidelines.model_card import CITATION, Section
from fusion.report.html import page_environment

# The pages look like the report.
_FOLDERS = (Path(__file__).parent, Path(next(iter(fusion.report.__path__))))
_MARKUP = re.compile(r"([\\`*_\[\]|~#])")


def checklist_page(checklists: Sequence[Checklist], *, title: str) -> str:
    """One self-contained HTML page; no request leaves it."""
    return _html().get_template("checklist.html.j2").render(guidelines=as_plain(checklists), title=title)


def checklist_markdown(checklists: Sequence[Checklist], *, title: str) -> str:
    """The same as Markdown, a table for each guideline."""
    return _markdown().get_template("checklist.md.j2").render(checklists=checklists, title=title, statuses=STATUSES)


def card_page(sections: Sequence[Section], *, title: str) -> str:
    """The model card as HTML."""
    return _html().get_template("model_card.html.j2").render(sections=sections, title=title, citation=CITATION)


def card_markdown(sections: Sequence[Section], *, title: str) -> str:
    """The model card as Markdown."""
    return _markdown().get_template("model_card.md.j2").render(sections=sections, title=title, citation=CITATION)


def _html() -> Environment:
    environment = page_environment()
    environment.loader = FileSystemLoader(_FOLDERS)
    return environment


def _markdown() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDERS),
        # Every value is escaped on its way out, as autoescape does for HTML.
        finalize=as_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def as_text(value: object) -> str:
    """A value as it reads, on one line: what is markup in Markdown or HTML is escaped."""
    return _MARKUP.sub(r"\\\1", escape(" ".join(str(value).split()), quote=False))
