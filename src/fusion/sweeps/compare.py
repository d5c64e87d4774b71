"""The comparison at the end of a sweep."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion.errors import FusionError

# A minus sign is one only where a value begins: ``a-1`` is a name.
_NUMBER = re.compile(r"((?:(?<=[=,\[])-)?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")


def compare_runs(sweep_dir: Path, settings: Mapping[str, Any]) -> None:
    """Compare the runs of a sweep with each other: ``comparison/``, where two or more are finished.

    What keeps them from being compared (other seeds make other splits) is said, and is no failure of the sweep.

    Args:
        sweep_dir: Of the sweep.
        settings: What ``fusion.comparison.compare.Asked`` takes; the primary model is the one that the runs declare.
    """
    from fusion.comparison.compare import Asked
    from fusion.report.comparison import report_comparison

    begun = sorted((path.parent for path in sweep_dir.rglob("config.yaml")), key=_in_human_order)
    finished = [path for path in begun if (path / "predictions.csv").is_file()]
    if len(finished) < 2:
        return
    try:
        for path in begun:
            if path not in finished:
                print(f"not finished, and not in the comparison: {path}", file=sys.stderr)
        asked = Asked(primary=None, **{**settings, "net_benefit_at": tuple(settings["net_benefit_at"])})
        report_comparison([str(path) for path in finished], asked, out_dir=sweep_dir / "comparison")
    except FusionError as error:
        print(f"\nThe runs of this sweep were not compared. {error}", file=sys.stderr)


def _in_human_order(path: Path) -> tuple[list[str | float], str]:
    """``1e-4`` before ``0.01``, ``2`` before ``10``: the order depends on neither which run was first nor the disk."""
    # Every second part is a number, so that like is compared with like.
    parts = _NUMBER.split(str(path))
    return [float(part) if place % 2 else part for place, part in enumerate(parts)], str(path)
