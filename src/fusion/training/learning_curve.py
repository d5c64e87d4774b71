"""Models of fewer training patients: whether more patients would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion.records import Cohort, Fold
from fusion.runs.tables import write_predictions
from fusion.splits.folds import shrink_fold
from fusion.training.tuning import Fit


def fit_learning_curve(
    cohort: Cohort, fold: Fold, *, shares: Sequence[float], config: Mapping[str, Any], fit: Fit, out_dir: Path
) -> None:
    """Fit on each share of a fold's training patients; write the case-level predictions of its patients.

    Args:
        cohort: That the fold divides.
        fold: Its test part is that of every model of the curve.
        shares: Of the training patients, each in (0, 1).
        config: Of every fit.
        fit: That of the fold's own model.
        out_dir: ``learning_<share>.csv`` is written here, one for each.
    """
    for share in shares:
        small = fit(shrink_fold(cohort, fold, share), config, f"{share:.0%} of the training patients")
        write_predictions(out_dir / learning_file(share), small.predictions)


def learning_file(share: float) -> str:
    """Name of a fold's table of the models of a share of the training patients."""
    return f"learning_{share:g}.csv"
