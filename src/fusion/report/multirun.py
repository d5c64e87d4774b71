"""The comparison at the end of a sweep."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fusion.errors import FusionError

# A minus sign is one only where a value begins: ``a-1`` is a name.
_NUMBER = re.compile(r"((?:(?<=[=,\[])-)?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")


class CompareRuns(Callback):
    """Compares the runs of a sweep with each other when all are done.

    What keeps them from being compared (other seeds make other splits) is said, and is no failure of the sweep.
    """

    def __init__(
        self, *, n_permutations: int, net_benefit_at: Sequence[float], within_centers: bool, reclassification: bool
    ) -> None:
        """Take what ``fusion.comparison.compare.Asked`` takes; the primary model is the one that the runs declare."""
        self._asked: dict[str, Any] = {
            "n_permutations": n_permutations,
            "net_benefit_at": tuple(net_benefit_at),
            "within_centers": within_centers,
            "reclassification": reclassification,
        }

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Write ``comparison/`` into the sweep's folder, where it has two finished runs or more."""
        from fusion.comparison.compare import Asked
        from fusion.report.comparison import report_comparison

        sweep_dir = Path(config.hydra.sweep.dir)
        begun = sorted((path.parent for path in sweep_dir.rglob("config.yaml")), key=_in_human_order)
        finished = [path for path in begun if (path / "predictions.csv").is_file()]
        if len(finished) < 2:
            return
        try:
            for path in begun:
                if path not in finished:
                    print(f"not finished, and not in the comparison: {path}", file=sys.stderr)
            asked = Asked(primary=None, **self._asked)
            report_comparison([str(path) for path in finished], asked, out_dir=sweep_dir / "comparison")
        except FusionError as error:
            print(f"\nThe runs of this sweep were not compared. {error}", file=sys.stderr)


def _in_human_order(path: Path) -> tuple[list[str | float], str]:
    """``1e-4`` before ``0.01``, ``2`` before ``10``: the order depends on neither which run was first nor the disk."""
    # Every second part is a number, so that like is compared with like.
    parts = _NUMBER.split(str(path))
    return [float(part) if place % 2 else part for place, part in enumerate(parts)], str(path)
