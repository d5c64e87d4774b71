"""What a sweep varies: every combination of values, or some at random."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusion.errors import FusionError

_TRIES = 100


def read_space(params: Mapping[str, Any], arguments: Sequence[str], *, config_loader: Any) -> list[Any]:
    """The overrides of a sweep as Hydra understands them; the command line's take the place of the file's.

    Args:
        params: Values by key, as on a command line: ``hydra.sweeper.params``.
        arguments: Of the command line.
        config_loader: Hydra's.

    Returns:
        Hydra's ``Override`` of each key, those of the file first.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create(config_loader=config_loader)
    parsed = parser.parse_overrides([*(f"{key}={value}" for key, value in params.items()), *arguments])
    return list({override.get_key_element(): override for override in parsed}.values())


def every_combination(space: Sequence[Any]) -> list[tuple[str, ...]]:
    """The overrides of each job, each once, the last key changing fastest.

    Raises:
        FusionError: If there is an interval, which has no number of values.
    """
    return list(dict.fromkeys(itertools.product(*(_values(override) for override in space))))


def draw_combinations(space: Sequence[Any], *, n_jobs: int, seed: int) -> list[tuple[str, ...]]:
    """The overrides of some jobs, each drawn once; fewer where there are no more.

    Args:
        space: Lists, ranges and intervals; an interval that is tagged ``log`` is even in its logarithm.
        n_jobs: To draw.
        seed: The same gives the same.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[tuple[str, ...], None] = {}
    # Where there are hardly more than asked for, most draws are of what was drawn before.
    for _ in range(_TRIES * n_jobs):
        if len(drawn) < n_jobs:
            drawn[tuple(_draw(override, rng) for override in space)] = None
    return list(drawn)


def _values(override: Any) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if override.is_interval_sweep():
        raise FusionError(
            f"{override.input_line}: required a list or a range for a grid, came an interval, which has no number of "
            "values; list some, or use hydra/sweeper=random or hydra/sweeper=optuna"
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _draw(override: Any, rng: np.random.Generator) -> str:
    if not override.is_interval_sweep():
        values = _values(override)
        return values[int(rng.integers(len(values)))]
    interval = override.value()
    low, high = float(interval.start), float(interval.end)
    is_whole = isinstance(interval.start, int) and isinstance(interval.end, int)
    in_log = "log" in interval.tags
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if in_log else rng.uniform(low, high)
    return f"{override.get_key_element()}={round(value) if is_whole else float(f'{value:.6g}')}"
