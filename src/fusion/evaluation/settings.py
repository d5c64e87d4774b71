"""How figures are given: the group ``evaluation`` of the configuration, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from fusion.errors import InputError, Problem
from fusion.evaluation.thresholds import check_operating_points


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``conf/evaluation/default.yaml`` says what each of them is.

    Attributes:
        seed: Of every bootstrap and probe.
    """

    level: float
    n_bootstrap: int
    threshold: str
    operating_points: Mapping[str, Mapping[str, Any]]
    prevalence: float | None
    partial_auc: Mapping[str, Any]
    decision_curve: Mapping[str, Any]
    reliability_bins: int
    min_patients: int
    min_per_label: int
    subgroups: Mapping[str, Any]
    center_probe: Mapping[str, Any]
    sample_size: Mapping[str, Any]
    learning_curve: tuple[float, ...]
    seed: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, seed: int) -> Self:
        """Read and check the group, before anything is fitted.

        Raises:
            InputError: With every value that is out of range.
        """
        problems = [
            Problem(where=f"evaluation.{key}", required=required, came=repr(config[key]))
            for key, (required, holds) in _REQUIRED.items()
            if not _is_right(holds, config[key])
        ]
        if not _is_whole(seed, 0):
            problems.append(Problem(where="seed", required="a whole number from 0", came=repr(seed)))
        points = config["operating_points"]
        if config["threshold"] not in points:
            required = f"one of evaluation.operating_points ({', '.join(points) or 'none'})"
            problems.append(Problem(where="evaluation.threshold", required=required, came=repr(config["threshold"])))
        if problems:
            raise InputError("How figures are given", problems, "See conf/evaluation/default.yaml.")
        check_operating_points(points)
        return cls(**{**config, "learning_curve": tuple(config["learning_curve"]), "seed": seed})

    @property
    def bootstrap(self) -> dict[str, Any]:
        """Arguments of every function that resamples."""
        return {"level": self.level, "n_bootstrap": self.n_bootstrap, "seed": self.seed}


def _is_right(holds: Callable[[Any], bool], value: Any) -> bool:
    try:
        return holds(value)
    except (TypeError, KeyError):  # A number where keys are required, or not all of them.
        return False


def _is_whole(value: Any, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def _is_probe(value: Any) -> bool:
    return _is_whole(value["n_folds"], 2) and _is_whole(value["n_components"], 1) and bool(value["inverse_penalty"] > 0)


def _is_sample_size(value: Any) -> bool:
    c_statistic = value["c_statistic"]
    return _is_share(value["share_of_max_r2"]) and (
        c_statistic is None or (_is_share(c_statistic) and c_statistic > 0.5)
    )


def _is_range(value: Any) -> bool:
    return (
        _is_share(value["lowest"])
        and _is_share(value["highest"])
        and round(value["highest"] - value["lowest"], 6) >= 0.01
    )


_REQUIRED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "level": ("a number between 0 and 1", _is_share),
    "n_bootstrap": ("a whole number from 100", lambda value: _is_whole(value, 100)),
    "prevalence": ("null, or a number between 0 and 1", lambda value: value is None or _is_share(value)),
    "partial_auc": ("above_specificity between 0 and 1", lambda value: _is_share(value["above_specificity"])),
    "decision_curve": ("lowest < highest, both between 0 and 1", _is_range),
    "reliability_bins": ("a whole number from 2", lambda value: _is_whole(value, 2)),
    "min_patients": ("a whole number from 2", lambda value: _is_whole(value, 2)),
    "min_per_label": ("a whole number from 2", lambda value: _is_whole(value, 2)),
    "subgroups": ("bins, a whole number from 2", lambda value: _is_whole(value["bins"], 2)),
    "center_probe": ("n_folds from 2, n_components from 1, inverse_penalty above 0", _is_probe),
    "sample_size": ("share_of_max_r2 between 0 and 1, and c_statistic null or between 0.5 and 1", _is_sample_size),
    "learning_curve": (
        "a list of shares of the training patients between 0 and 1",
        lambda value: isinstance(value, list | tuple) and all(map(_is_share, value)),
    ),
}
