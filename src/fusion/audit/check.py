"""The command ``fusion check``: audit, write, print, and refuse a cohort with errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion.audit.audit import audit_cohort
from fusion.audit.finding import counted
from fusion.audit.terminal import print_audit
from fusion.audit.write import write_audit
from fusion.errors import FusionError, InputError

_FOLDER = Path("checks")


def check_cohort(config: Mapping[str, Any], *, cache_dir: Path, out_dir: Path | None) -> None:
    """Audit a cohort, write ``check.json`` and ``check.html``, and print a line a finding.

    Args:
        config: The ``cohort`` config, resolved to plain mappings and lists.
        cache_dir: Where simulated cohorts are kept.
        out_dir: Folder of the two files; None for ``checks/<name of the cohort>``.

    Raises:
        InputError: For a table that cannot be read (nothing is written), and for images that cannot be used.
        FusionError: If there are errors of another kind.
    """
    audit = audit_cohort(config, cache_dir=cache_dir)
    path = write_audit(audit, out_dir or _FOLDER / audit.cohort.name)
    print_audit(audit)
    print(f"written: {path}, {path.with_suffix('.json').name}")
    if audit.problems:
        advice = next(finding.advice for finding in audit.findings if finding.kind == "unusable_files")
        raise InputError(f"Images of cohort {audit.cohort.name}", audit.problems, advice)
    if n_errors := audit.count("error"):
        raise FusionError(f"Cohort {audit.cohort.name}: {counted(n_errors, 'error')}; mend before training: {path}")
