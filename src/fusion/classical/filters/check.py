"""Whether a configuration's filters are filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fusion.errors import InputError, Problem

_WHERE = "selection.filters"


def check_filters(filters: Sequence[Mapping[str, Any]]) -> None:
    """Check names, keys and values, before any work.

    Raises:
        InputError: With everything that is wrong.
    """
    if not isinstance(filters, list | tuple):
        problems = [Problem(where=_WHERE, required="a list, [] for no filter", came=repr(filters))]
    else:
        problems = [problem for i, one in enumerate(filters) for problem in _problems(f"{_WHERE}[{i}]", one)]
    if problems:
        known = "; ".join(f"{name}: {', '.join(keys)}" for name, keys in _KEYS.items())
        raise InputError("Filters of features", problems, f"The filters and their keys are: {known}.")


def _problems(where: str, one: Any) -> list[Problem]:
    if not isinstance(one, Mapping):
        return [Problem(where=where, required="a mapping of a name and the filter's keys", came=repr(one))]
    name = one.get("name")
    if not isinstance(name, str) or name not in _KEYS:
        return [Problem(where=f"{where}.name", required=f"one of {', '.join(_KEYS)}", came=_shown(one, "name"))]
    wrong = [
        Problem(where=f"{where}.{key}", required=_REQUIRED[key][0], came=_shown(one, key))
        for key in _KEYS[name]
        if key not in one or not _REQUIRED[key][1](one[key])
    ]
    unknown = [
        Problem(where=f"{where}.{key}", required=f"only keys of {name} ({', '.join(_KEYS[name])})", came=repr(key))
        for key in one
        if key != "name" and key not in _KEYS[name]
    ]
    return wrong + unknown


def _shown(one: Mapping[str, Any], key: str) -> str:
    return repr(one[key]) if key in one else "nothing"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 < value <= 1


_KEYS: dict[str, tuple[str, ...]] = {
    "variance": ("min_variance",),
    "mann_whitney": ("max_p", "correction"),
    "t_test": ("max_p", "correction"),
    "spearman": ("max_correlation", "order"),
    "pearson": ("max_correlation", "order"),
    "mrmr": ("n_features",),
}
_REQUIRED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "min_variance": ("a number from 0", lambda value: _is_number(value) and value >= 0),
    "max_p": ("a number above 0 and at most 1", _is_share),
    "correction": ("one of none, holm, fdr_bh", lambda value: value in ("none", "holm", "fdr_bh")),
    "max_correlation": ("a number above 0 and at most 1", _is_share),
    "order": ("one of table, p_value", lambda value: value in ("table", "p_value")),
    "n_features": ("a whole number from 1", lambda value: isinstance(value, int) and _is_number(value) and value >= 1),
}
