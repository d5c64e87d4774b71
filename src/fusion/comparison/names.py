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
    "published",
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

_KIND = "model.name"
_CLASSIFIER = "classifier"


def name_runs(configs: Sequence[Mapping[str, Any]], paths: Sequence[Path]) -> list[tuple[str, ...]]:
    """The parts of each run's name, in the order of the configuration.

    The runs' own ``name`` where it differs between all of them; else the kind of model (``model.name``) where that
    does; else every value in which they differ, ``("model=radiomics", "l1=0.001")``, or the options alone where they
    differ in those of groups only, ``("radiomics", "svm")``. A group that its ``name`` decides is told by that; what
    the kind of model implies among these runs (its own classifier, say) is not told, nor a classifier of a model that
    has none. Runs that even these do not tell apart have their folder's name, too.

    Args:
        configs: The resolved configuration of each run.
        paths: The folder of each run.

    Returns:
        For each run the parts of a name that no other run has.
    """
    configs = [of_the_model(config) for config in configs]
    flat = [dict(leaves(config)) for config in configs]
    for key in ("name", _KIND):
        values = [of_run.get(key) for of_run in flat]
        if None not in values and len(set(map(str, values))) == len(values):
            return [(str(value),) for value in values]
    decided = _decided_groups(configs)
    keys = _telling_keys(flat, decided)
    if all(key.removesuffix(".name") in decided for key in keys):
        names = [tuple(_shown(of_run[key]) for key in keys if key in of_run) for of_run in flat]
    else:
        names = [
            tuple(f"{_called(key, decided)}={_shown(of_run[key])}" for key in keys if key in of_run) for of_run in flat
        ]
    return _tell_apart(names, paths)


def of_the_model(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without a classifier where the model has none: the network, and a mean of branches."""
    model = config.get("model")
    has_none = isinstance(model, Mapping) and ("branches" in model or model.get("combine") == "mean")
    return {key: value for key, value in config.items() if not (has_none and key == _CLASSIFIER)}


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a configuration with its key, e.g. ``backbone.name``."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _telling_keys(flat: Sequence[Mapping[str, Any]], decided: set[str]) -> list[str]:
    """Keys with more than one value among the runs; of a group that its name decides, the name alone."""
    ordered = _in_place(dict.fromkeys(key for of_run in flat for key in of_run))
    keys = [
        key
        for key in ordered
        if not any(key == other or key.startswith(f"{other}.") for other in _NOT_OF_THE_MODEL)
        and any(of_run.get(key, ...) != flat[0].get(key, ...) for of_run in flat)
        and (key.partition(".")[0] not in decided or key == f"{key.partition('.')[0]}.name")
    ]
    return [key for key in keys if key == _KIND or _KIND not in keys or not _is_implied(key, flat)]


def _is_implied(key: str, flat: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all runs of a kind of model have the same value."""
    seen: dict[str, Any] = {}
    values = [(str(of_run.get(_KIND)), of_run.get(key, ...)) for of_run in flat]
    return all(seen.setdefault(kind, value) == value for kind, value in values)


def _called(key: str, decided: set[str]) -> str:
    """``model`` for the name of a group that its name decides: as a group's option is chosen."""
    group = key.removesuffix(".name")
    return group if group in decided else key


def _in_place(keys: Iterable[str]) -> list[str]:
    """The keys with those of a group together, also where only a later run has some of them."""
    place: dict[str, int] = {}
    path = {key: [".".join(key.split(".")[: n + 1]) for n in range(key.count(".") + 1)] for key in keys}
    for groups in path.values():
        for group in groups:
            place.setdefault(group, len(place))
    return sorted(path, key=lambda key: [place[group] for group in path[key]])


def _decided_groups(configs: Sequence[Mapping[str, Any]]) -> set[str]:
    """Groups that differ in nothing where their names are the same, and in their names somewhere."""
    groups = {key for config in configs for key, content in config.items() if isinstance(content, Mapping)}
    return {group for group in groups if _is_decided_by_name(group, configs)}


def _is_decided_by_name(group: str, configs: Sequence[Mapping[str, Any]]) -> bool:
    contents = {
        number: config[group] for number, config in enumerate(configs) if isinstance(config.get(group), Mapping)
    }
    names = [str(contents[number].get("name")) if number in contents else None for number in range(len(configs))]
    seen: dict[Any, Any] = {}
    is_decided = all(
        "name" in content and seen.setdefault(names[number], content) == content for number, content in contents.items()
    )
    return is_decided and len({*names}) > 1


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
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_shown(of_key)}' for key, of_key in value.items())}}}"
    return f"[{','.join(map(_shown, value))}]" if isinstance(value, list) else str(value)
