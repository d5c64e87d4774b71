"""The ready sweep file: what an agent would start, by W&B's own code, is a command that train.py takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion.tracking.check import check_logger

SWEEP = yaml.safe_load((Path(__file__).parents[2] / "conf/wandb/sweep.yml").read_text())


def first_value(parameter: dict[str, Any]) -> Any:
    return parameter["values"][0] if "values" in parameter else parameter["min"]


@pytest.fixture
def overrides() -> list[str]:
    """As `wandb agent` puts them on the command line."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    values = {name: {"value": first_value(parameter)} for name, parameter in SWEEP["parameters"].items()}
    filled = create_sweep_command_args({"args": values, "program": SWEEP["program"]})
    command: list[str] = []
    for part in create_sweep_command(list(SWEEP["command"])):
        is_filled = part.startswith("${") and part.endswith("}")
        command += filled.get(part[2:-1], []) if is_filled else [part]
    return command


def test_an_agents_command_is_one_of_train_py(
    overrides: list[str], compose: Callable[[Sequence[str]], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep123")
    monkeypatch.setenv("WANDB_RUN_ID", "agents01")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    config = compose(overrides)
    assert config["l1"] == 1e-5
    assert config["model"]["dropout"] == 0
    assert not config["report"], "test figures are not for who chooses"
    check_logger(config["logger"])
    assert SWEEP["metric"] == {"name": "inner_auc", "goal": "maximize"}


def test_hydra_takes_the_file_for_no_option(root: Path) -> None:
    assert not list((root / "conf/wandb").glob("*.yaml"))
