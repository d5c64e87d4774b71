from pathlib import Path
from typing import Any

import pytest

from fusion.comparison.names import name_runs

BASE: dict[str, Any] = {
    "name": "breast",
    "l1": 0.001,
    "cache_dir": "a",
    "cohort": {"name": "breast", "root": "x"},
    "model": {"name": "fusion", "branches": ["image", "clinical"]},
    "backbone": {"name": "resnet18", "weights": "none", "options": {}},
    "trainer": {"accelerator": "cpu", "max_epochs": 5},
}


def names(*changes: dict[str, Any]) -> list[tuple[str, ...]]:
    """Names of runs that differ from BASE in keys like ``model.branches``."""
    configs = []
    for change in changes:
        config = {key: dict(value) if isinstance(value, dict) else value for key, value in BASE.items()}
        for key, value in change.items():
            group, _, leaf = key.partition(".")
            if leaf:
                config[group][leaf] = value
            else:
                config[key] = value
        configs.append(config)
    return name_runs(configs, [Path("runs") / str(number) for number in range(len(changes))])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}, {"backbone.name": "vit"}], [("resnet18",), ("vit",)]),
        ([{}, {"backbone.name": "vit", "backbone.options": {"dynamic": True}}], [("resnet18",), ("vit",)]),
        (
            [{}, {"backbone.name": "vit", "l1": 0.0}],
            [("l1=0.001", "backbone.name=resnet18"), ("l1=0", "backbone.name=vit")],
        ),
        ([{}, {"backbone.weights": "hub"}], [("backbone.weights=none",), ("backbone.weights=hub",)]),
        (
            [{}, {"model.branches": ["clinical"]}],
            [("model.branches=[image,clinical]",), ("model.branches=[clinical]",)],
        ),
        ([{}, {"model.name": "su2025", "backbone": None}], [("fusion",), ("su2025",)]),
        ([{}, {"model.name": None}], [("fusion",), ("null",)]),
        ([{"name": "ours"}, {"name": "theirs", "l1": 0.0}], [("ours",), ("theirs",)]),
        ([{"l1": None}, {"l1": True}], [("l1=null",), ("l1=true",)]),
        ([{}, {"cache_dir": "b", "cohort.root": "y", "trainer.accelerator": "gpu"}], [("0",), ("1",)]),
        ([{}, {}, {"l1": 0.0}], [("l1=0.001", "0"), ("l1=0.001", "1"), ("l1=0",)]),
        ([{}, {"new": 1}], [("0",), ("new=1",)]),
        # The keys of a group stay together, also those that only a later run has.
        (
            [{"cohort.a": 1, "l1": 0.0}, {"cohort.b": 2}],
            [("l1=0", "cohort.a=1"), ("l1=0.001", "cohort.b=2")],
        ),
        (
            [{"cohort.a": 1, "trainer.x": 1}, {"cohort.b": 2, "trainer.x": 2}],
            [("cohort.a=1", "trainer.x=1"), ("cohort.b=2", "trainer.x=2")],
        ),
    ],
)
def test_runs_are_called_by_what_tells_them_apart(
    changes: list[dict[str, Any]], expected: list[tuple[str, ...]]
) -> None:
    assert names(*changes) == expected


def test_folders_of_one_name_are_told_apart_by_their_path() -> None:
    paths = [Path("a/run"), Path("b/run")]
    assert name_runs([BASE, BASE], paths) == [("a/run",), ("b/run",)]
