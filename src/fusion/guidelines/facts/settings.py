"""What facts read of a run: settings, branches, folds, figures as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusion.guidelines.claim import Evidence
from fusion.report.run_folder import FinishedRun
from fusion.runs.model import BRANCH_OF, branches_taken

_N_HASH = 12


def setting(run: FinishedRun, key: str) -> Any:
    """The value under a key such as ``split.name``; None where it is null or the run did not record it."""
    return value_at(run.config, key)


def value_at(content: Any, key: str) -> Any:
    """The value under a key such as ``test.auc``; None where it is null or not there."""
    for name in key.split("."):
        if not isinstance(content, Mapping) or name not in content:
            return None
        content = content[name]
    return content


def recorded(run: FinishedRun, *keys: str) -> bool:
    """Whether the configuration has a value under every one of the keys."""
    return all(setting(run, key) is not None for key in keys)


def branches(run: FinishedRun) -> set[str]:
    """Which of image, radiomics and clinical the model takes."""
    model = run.config.get("model")
    if run.is_classical:
        return {BRANCH_OF[block] for block in run.inputs}
    return branches_taken(model) if isinstance(model, Mapping) and "branches" in model else set()


def is_end_to_end(run: FinishedRun) -> bool:
    """Whether a network goes from the pixels to the outcome, and no table of features stands between."""
    return not run.is_classical and "image" in branches(run)


def fold_files(run: FinishedRun, name: str, key: str | None = None) -> tuple[Evidence, ...]:
    """A file of every fold."""
    return tuple(Evidence(f"fold_{fold}/{name}", key) for fold in sorted(set(run.patients.folds)))


def estimate_text(estimate: Mapping[str, Any]) -> str:
    """``0.912 (0.871 to 0.944)``."""
    if estimate["value"] is None:
        return "not defined"
    if estimate["ci_low"] is None or estimate["ci_high"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['ci_low']:.3f} to {estimate['ci_high']:.3f})"


def counts_text(counts: Mapping[str, int]) -> str:
    """``154 benign, 98 malignant``."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def values_text(settings: Mapping[str, Any]) -> str:
    """``n_px 96, margin 0.15``."""
    return ", ".join(f"{key} {_value(value)}" for key, value in settings.items())


def hash_text(digest: str) -> str:
    """The beginning of a digest."""
    return f"{digest[:_N_HASH]}…"


def share_text(share: float) -> str:
    """``20 %``."""
    return f"{100 * share:g}\N{NO-BREAK SPACE}%"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({values_text(value)})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return "none" if value is None else str(value)
