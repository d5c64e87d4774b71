"""The one figure that a sweep ranks its runs by."""

from __future__ import annotations

from pathlib import Path

from fusion.comparison.inner import InnerAuc, inner_auc
from fusion.evaluation.evaluate import of_part
from fusion.evaluation.pooling import pool_cases
from fusion.runs.folder import INNER, RunFolder
from fusion.runs.tables import read_predictions

# `inner_auc` computes intervals, too; of no use here, whatever their level.
_LEVEL = 0.95


def inner_score(run_dir: Path) -> InnerAuc | None:
    """AUC on the inner predictions of a run's finished folds; None where there is none yet.

    Args:
        run_dir: The run folder.
    """
    if not (run_dir / INNER).is_file():
        return None
    config = RunFolder.open(run_dir).config
    inner = pool_cases(read_predictions(run_dir / INNER, model=config["model"]["name"]))
    return inner_auc(of_part(inner, "validation"), config, level=_LEVEL)
