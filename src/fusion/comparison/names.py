"""What runs are called beside each other: by what distinguishes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Where and how a run was done, and how it is shown: none of it makes another model.
_NOT_OF_THE_MODEL = (
    "name",
    "primary",
    "resume",
    "cache_dir",
    "fold",
    "cohort.root",
    "logger",
    "explain",
    "evaluation",
    "trainer.accelerator",
    "trainer.devices",
    "radiomics.n_jobs",
    "radiomics.backend",
)


def name_runs(configs: Sequence[Mapping[str, Any]], paths: Sequence[Path]) -> list[tuple[str, ...]]:
    """The parts of each run's name, in the order of the configuration.

    The runs' own ``name`` where it differs between all of them; else the kind of model (``model.name``) where that
    does; else every value in which they differ, ``("backbone.name=resnet18", "l1=0.001")``, or the value alone where
    only one ``name`` differs. Runs that even these do not tell apart have their folder's name, too.

    Args:
        configs: The resolved configuration of each run.
        paths: The folder of each run.

    Returns:
        For each run the parts of a name that no other run has.
    """
    flat = [dict(leaves(config)) for config in configs]
    for key in ("name", "model.name"):
        values = [of_run.get(key) for of_run in flat]
        if None not in values and len(set(map(str, values))) == len(values):
            return [(str(value),) for value in values]
    keys = _telling_keys(configs, flat)
    if len(keys) == 1 and keys[0].endswith(".name"):
        names: list[tuple[str, ...]] = [(_shown(of_run.get(keys[0])),) for of_run in flat]
    else:
        names = [tuple(f"{key}={_shown(of_run[key])}" for key in keys if key in of_run) for of_run in flat]
    return _tell_apart(names, paths)


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a configuration with its key, e.g. ``backbone.name``."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _telling_keys(configs: Sequence[Mapping[str, Any]], flat: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys with more than one value among the runs; of a group that its name decides, the name alone."""
    ordered = _in_place(dict.fromkeys(key for of_run in flat for key in of_run))
    keys = [
        key
        for key in ordered
        if not any(key == other or key.startswith(f"{other}.") for other in _NOT_OF_THE_MODEL)
        and any(of_run.get(key, ...) != flat[0].get(key, ...) for of_run in flat)
    ]
    decided = {key.partition(".")[0] for key in keys if key.count(".") == 1 and key.endswith(".name")}
    decided = {group for group in decided if _is_decided_by_name(group, configs)}
    return [key for key in keys if key.partition(".")[0] not in decided or key == f"{key.partition('.')[0]}.name"]


def _in_place(keys: Iterable[str]) -> list[str]:
    """The keys with those of a group together, also where only a later run has some of them."""
    place: dict[str, int] = {}
    path = {key: [".".join(key.split(".")[: n + 1]) for n in range(key.count(".") + 1)] for key in keys}
    for groups in path.values():
        for group in groups:
            place.setdefault(group, len(place))
    return sorted(path, key=lambda key: [place[group] for group in path[key]])


def _is_decided_by_name(group: str, configs: Sequence[Mapping[str, Any]]) -> bool:
    seen: dict[Any, Any] = {}
    contents = [config[group] for config in configs if isinstance(config.get(group), Mapping)]
    return all(seen.setdefault(str(content.get("name")), content) == content for content in contents)


def _tell_apart(names: Sequence[tuple[str, ...]], paths: Sequence[Path]) -> list[tuple[str, ...]]:
    counts = Counter(names)
    folders = Counter(path.name for path in paths)
    return [
        name if name and counts[name] == 1 else (*name, path.name if folders[path.name] == 1 else str(path))
        for name, path in zip(names, paths, strict=True)
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    return f"[{','.join(map(_shown, value))}]" if isinstance(value, list) else str(value)
