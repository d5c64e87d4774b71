"""A run's report with other names for its patients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusion.guidelines.paper import report_parts
from fusion.report.hidden import hidden_copy
from fusion.report.html import write_report
from fusion.runs.pseudonyms import Naming


@contextmanager
def hidden_report(run_dir: Path, naming: Naming) -> Iterator[Path]:
    """``report.html`` of a copy of the run in which ids have other names; it is gone after the block.

    Args:
        run_dir: Of a finished run.
        naming: Of patients and cases.
    """
    with hidden_copy(run_dir, naming) as copy:
        yield write_report(copy, **report_parts(run_dir))
