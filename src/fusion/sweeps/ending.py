"""The end of a sweep: what it found, in the order of the inner scores, and whether all went well."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion.sweeps.compare import compare_runs
from fusion.sweeps.finish import finish_sweep
from fusion.sweeps.records import ENDED_WELL, read_records


def end_sweep(sweep_dir: Path, settings: Mapping[str, Any]) -> None:
    """Rank the runs, compare them where their test figures are asked for, and leave with status 1 where a job failed.

    Args:
        sweep_dir: Of the sweep.
        settings: ``conf/sweep``.
    """
    finish_sweep(sweep_dir, settings)
    if settings["test"] == "all":
        compare_runs(sweep_dir, settings["comparison"])
    missing = [record for record in read_records(sweep_dir) if record.state not in ENDED_WELL]
    if missing:
        print(
            f"\n{len(missing)} jobs did not come to their end; the same command with hydra.sweep.dir={sweep_dir} does "
            "those again, and no others",
            file=sys.stderr,
        )
        sys.exit(1)
