"""What was chosen on inner predictions, and which predictions those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusion.report.run_folder import FinishedRun


def inner_text(run: FinishedRun) -> str:
    """The predictions that calibration and thresholds were chosen on, after ``on``."""
    n = n_inner_folds(run)
    if n == 1:
        return f"predictions of each fold’s inner part{', which also chose the epoch' if run.has_epochs else ''}"
    return f"out-of-fold predictions of all training patients of each fold ({n} inner folds)"


def n_inner_folds(run: FinishedRun) -> int:
    """1 where the part that chooses the epoch chooses the rest as well; a run that did not record it had no other."""
    split = run.config.get("split")
    return int(split.get("n_inner_folds", 1)) if isinstance(split, Mapping) else 1


def chosen(run: FinishedRun) -> list[str]:
    """What was chosen on them beside the epoch, in words; with more than two labels there are no thresholds."""
    split = run.config.get("split")
    has_grid = isinstance(split, Mapping) and bool(split.get("grid"))
    return [
        *(["the thresholds"] if run.is_binary else []),
        *(["the calibration"] if calibration_name(run) not in (None, "none") else []),
        *(["the grid’s values"] if has_grid else []),
    ]


def calibration_name(run: FinishedRun) -> str | None:
    """``platt``; None where the run did not record any."""
    calibration = run.config.get("calibration")
    return str(calibration["name"]) if isinstance(calibration, Mapping) and "name" in calibration else None


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
