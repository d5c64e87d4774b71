"""A cohort's config → everything that the audit found in its table, its images and its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusion.audit.composition import composition
from fusion.audit.duplicates import duplicate_images
from fusion.audit.finding import SEVERITIES, Finding, Severity, counted
from fusion.audit.identity import identifying_dicom
from fusion.audit.leaks import image_leaks, leaks, unused_leaks
from fusion.audit.left_out import excluded_rows, unused_files
from fusion.audit.masks import odd_masks
from fusion.audit.measure import measure_cases
from fusion.audit.missing import missing_values
from fusion.audit.overlays import burned_in
from fusion.audit.shift import shifts_between_centers
from fusion.cohorts.load import cohort_root, load_cohort
from fusion.cohorts.mapping import TableMapping, read_mapping
from fusion.cohorts.sheet import Row
from fusion.cohorts.summary import CenterSummary, summarize
from fusion.cohorts.table import is_excluded, joined_sheet
from fusion.cohorts.values import normalized
from fusion.errors import Problem
from fusion.records import Cohort


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found.

    Attributes:
        cohort: As the table has it.
        summaries: Counts by center.
        findings: Errors first, then warnings, then notes.
        problems: Of images and masks that cannot be used; they are one of the findings, too.
    """

    cohort: Cohort
    summaries: tuple[CenterSummary, ...]
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...] = field(repr=False)

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


def audit_cohort(config: Mapping[str, Any], *, cache_dir: Path) -> Audit:
    """Read the table and every image once, and gather the findings.

    Args:
        config: The ``cohort`` config, resolved to plain mappings and lists.
        cache_dir: Where simulated cohorts are kept.

    Raises:
        InputError: With all problems of the mapping and the table; nothing can be said of a cohort that has any.
    """
    cohort = load_cohort(config, cache_dir=cache_dir, require_labels=True)
    root = cohort_root(config, cache_dir=cache_dir).expanduser()
    mapping, rows = _table(config, root)
    excluded = tuple(row for row in rows if is_excluded(row, mapping))
    measured, problems = measure_cases(cohort.cases)
    findings = [
        *([_unusable(problems)] if problems else []),
        *leaks(cohort),
        *image_leaks(cohort, measured),
        *unused_leaks(*_unused_columns(cohort, mapping, rows)),
        *duplicate_images(cohort.cases, measured),
        *composition(cohort),
        *missing_values(cohort),
        *odd_masks(cohort.cases, measured),
        *burned_in(cohort.cases, measured),
        *identifying_dicom(cohort.cases, measured),
        *shifts_between_centers(cohort.cases, measured),
        *excluded_rows(mapping, rows),
        *unused_files(cohort, mapping, rows, root=root, excluded=excluded),
    ]
    return Audit(
        cohort=cohort,
        summaries=summarize(cohort),
        findings=tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))),
        problems=tuple(problems),
    )


def _table(config: Mapping[str, Any], root: Path) -> tuple[TableMapping, tuple[Row, ...]]:
    """The mapping, and all rows with the excluded ones. The cohort has been loaded from them without problems."""
    mapping, _ = read_mapping({**config, "root": str(root)})
    return mapping, joined_sheet(mapping, []).rows


def _unused_columns(
    cohort: Cohort, mapping: TableMapping, rows: Sequence[Row]
) -> tuple[dict[str, list[str]], list[str]]:
    """Text of the columns that the mapping does not name, and labels; a row per patient, the first."""
    row_of = {row.cell(mapping.key): row for row in rows}
    first = [cases[0] for cases in cohort.patients.values() if cases[0].label is not None]
    named = {column for _, column in (*mapping.identifying, *mapping.descriptive)}
    columns = dict.fromkeys(
        column for row in rows for part in (row, *row.joined) for column in part.cells if column and column not in named
    )
    texts = {column: [row_of[case.case_id].cell(column) for case in first] for column in columns}
    known = {
        column: ["" if normalized(text) in mapping.missing else text for text in of] for column, of in texts.items()
    }
    return known, [case.label for case in first if case.label is not None]


def _unusable(problems: Sequence[Problem]) -> Finding:
    return Finding(
        kind="unusable_files",
        severity="error",
        where="images and masks",
        found=f"{counted(len(problems), 'file')} that cannot be used; they are left out of all other findings",
        why="Training stops at them.",
        advice="Mend the files, leave their cells in the table empty, or leave the rows out with cohort.exclude.",
        figures={"n": len(problems)},
        details=tuple(
            {"where": problem.where, "required": problem.required, "came": problem.came} for problem in problems
        ),
    )
