"""The audit on the terminal: counts by center, and a line a finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fusion.audit.audit import Audit
from fusion.cohorts.summary import CenterSummary

if TYPE_CHECKING:
    from rich.table import Table

_COLORS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def print_audit(audit: Audit) -> None:
    """Print the summary by center and the findings."""
    from rich.console import Console

    console = Console()
    console.print(_summary_table(audit.cohort.name, audit.summaries))
    if audit.findings:
        console.print(_findings_table(audit))
    else:
        console.print("Nothing was found.")


def _findings_table(audit: Audit) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Findings", show_lines=False)
    for heading in ("", "where"):
        table.add_column(heading, no_wrap=not heading)
    table.add_column("found", ratio=1)
    for finding in audit.findings:
        color = _COLORS[finding.severity]
        table.add_row(f"[{color}]{finding.severity}[/{color}]", escape(finding.where), escape(finding.found))
    return table


def _summary_table(name: str, summaries: Sequence[CenterSummary]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"Cohort {name}"))
    table.add_column("", no_wrap=True)
    for summary in summaries:
        table.add_column(escape(summary.center), justify="right")
    for lines in zip(*map(_lines, summaries), strict=True):
        table.add_row(escape(lines[0][0]), *(shown for _, shown in lines))
    return table


def _lines(summary: CenterSummary) -> list[tuple[str, str]]:
    """The measures of one center, each with what is shown of it; those of a group are indented."""
    of_cases = {**summary.cases_by_label, "no image": summary.n_without_image, "no mask": summary.n_without_mask}
    groups = (
        ("patients", summary.n_patients, summary.patients_by_label),
        ("cases", summary.n_cases, of_cases),
        ("cases without", None, summary.n_missing),
    )
    lines = []
    for group, n_all, parts in groups:
        lines.append((group, "" if n_all is None else str(n_all)))
        total = n_all or summary.n_cases
        lines += [(f"  {part or 'no label'}", f"{n} ({n / total:.0%})") for part, n in parts.items()]
    return lines if summary.n_missing else lines[:-1]
