"""What was chosen on inner predictions, and which predictions those are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fusion.report.run_folder import FinishedRun

_N_COUNTED = 5


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
    return [
        *(["the thresholds"] if run.is_binary else []),
        *(["the calibration"] if calibration_name(run) not in (None, "none") else []),
        *(["the grid’s values"] if run.grid else []),
    ]


def calibration_name(run: FinishedRun) -> str | None:
    """``platt``; None where the run did not record any."""
    calibration = run.config.get("calibration")
    return str(calibration["name"]) if isinstance(calibration, Mapping) and "name" in calibration else None


def counted(settings: Mapping[int, Mapping[str, Any]], n_folds: int) -> str:
    """What the folds chose, the most frequent first: ``C 0.1 (3 of 5 folds), C 1 (2 of 5 folds)``.

    Args:
        settings: Value by key, by fold; at least one fold.
        n_folds: Of which they are some.
    """
    texts = [", ".join(f"{key} {_value(value)}" for key, value in each.items()) for each in settings.values()]
    if n_folds == 1:
        return texts[0]
    counts = sorted(Counter(texts).items(), key=lambda pair: -pair[1])
    shown, rest = counts[:_N_COUNTED], counts[_N_COUNTED:]
    # One more takes no more room than to say that it is left out.
    shown, rest = (counts, []) if len(rest) == 1 else (shown, rest)
    others = [f"{len(rest)} others ({sum(n for _, n in rest)} of {n_folds} folds)"] if rest else []
    return ", ".join([*(f"{text} ({n} of {n_folds} folds)" for text, n in shown), *others])


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
