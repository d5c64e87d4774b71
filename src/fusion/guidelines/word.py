"""Checklists as a Word file, since journals ask for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion.guidelines.checklist import Answered, Checklist
from fusion.storage import atomic_path

_COLUMNS = ("No.", "Item", "Answer", "Evidence", "Status")
_WIDTHS_CM = (1.2, 4.2, 11.0, 5.6, 2.6)
# What a table in a cohort may hold and XML may not.
_FORBIDDEN = dict.fromkeys((*range(32), 0xFFFE, 0xFFFF), " ")


def write_word(path: Path, checklists: Sequence[Checklist], *, title: str) -> None:
    """Write a table for each guideline, on landscape pages."""
    from docx import Document
    from docx.enum.section import WD_ORIENT

    document = Document()
    page = document.sections[0]
    page.orientation, page.page_width, page.page_height = WD_ORIENT.LANDSCAPE, page.page_height, page.page_width
    document.add_heading(_clean(f"Reporting guidelines: {title}"), level=0)
    for checklist in checklists:
        document.add_heading(_clean(checklist.guideline.title), level=1)
        document.add_paragraph(_clean(checklist.guideline.citation))
        counts = ", ".join(f"{count} {status}" for status, count in checklist.counts.items())
        document.add_paragraph(f"Items: {counts}.{_score_text(checklist)}")
        _add_table(document, checklist.items)
    with atomic_path(path) as temporary:
        document.save(str(temporary))


def _score_text(checklist: Checklist) -> str:
    score = checklist.score
    if score is None:
        return ""
    return f" Score {score.percent:.1f} % with open items counted as not met; {score.at_most:.1f} % at most."


def _add_table(document: Any, items: Sequence[Answered]) -> None:
    from docx.shared import Cm

    rows = [_COLUMNS, *(_cells(answered) for answered in items)]
    table = document.add_table(rows=len(rows), cols=len(_COLUMNS), style="Table Grid")
    table.autofit = False
    # A table's own rows and cells are looked up anew at every access.
    for row, texts in zip(list(table.rows), rows, strict=True):
        for cell, text, width in zip(row.cells, texts, _WIDTHS_CM, strict=True):
            cell.text, cell.width = _clean(text), Cm(width)


def _cells(answered: Answered) -> tuple[str, ...]:
    evidence = "; ".join(map(str, answered.evidence))
    return answered.item.number, answered.item.topic, answered.answer, evidence, answered.status


def _clean(text: str) -> str:
    return text.translate(_FORBIDDEN)
