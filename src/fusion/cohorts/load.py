"""The ``cohort`` config → a cohort, from the user's table or from a simulation's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion.cohorts.table import read_table
from fusion.records import Cohort


def load_cohort(config: Mapping[str, Any], *, cache_dir: Path, require_labels: bool) -> Cohort:
    """Load a cohort; simulate it first where the config asks for that.

    Args:
        config: The ``cohort`` config, resolved to plain mappings and lists.
        cache_dir: Where simulated cohorts are kept.
        require_labels: True for training. False for prediction: a label that is absent, empty or unknown is None,
            and clinical columns may be absent.

    Raises:
        InputError: With all problems of the mapping and the table; nothing is read further before they are mended.
    """
    return read_table({**config, "root": str(cohort_root(config, cache_dir=cache_dir))}, require_labels=require_labels)


def cohort_root(config: Mapping[str, Any], *, cache_dir: Path) -> Path:
    """The folder of the cohort's files: the one that the user gave, or a simulation's (made where it is missing)."""
    simulation = config.get("simulation")
    if simulation is None:
        return Path(config["root"])
    from fusion.cohorts.phantom import simulate_cohort

    return simulate_cohort(simulation, cache_dir=cache_dir)
