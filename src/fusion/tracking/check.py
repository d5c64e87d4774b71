"""What is wrong with the configured loggers, told before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from fusion.errors import InputError, Problem
from fusion.tracking.trackers import OPENERS
from fusion.tracking.wandb_run import agents_sweep, has_credentials

_MODES = ("offline", "online")
_ALWAYS = "csv"


def check_logger(logger: Mapping[str, Any]) -> None:
    """Refuse loggers that cannot be had.

    Args:
        logger: The group ``logger`` of the configuration, settings by name of the logger.

    Raises:
        InputError: With everything that is wrong.
    """
    problems = [problem for name, settings in logger.items() for problem in _problems(name, settings)]
    if agents_sweep() is not None and logger.get("wandb", {}).get("mode") != "online":
        problems.append(
            Problem(
                where="logger",
                required="logger=wandb logger.wandb.mode=online under `wandb agent`, which waits for the inner score",
                came=", ".join(f"{name} {settings.get('mode', '')}".strip() for name, settings in logger.items()),
            )
        )
    if problems:
        raise InputError("The loggers", problems, "See conf/logger and docs/tracking.md.")


def _problems(name: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    where = f"logger.{name}"
    if name == _ALWAYS:
        return
    if name not in OPENERS:
        yield Problem(where="logger", required=f"some of {', '.join([_ALWAYS, *OPENERS])}", came=name)
        return
    if find_spec(name) is None:
        extra = "'fusion-radiomics[mlflow]'" if name == "mlflow" else name
        yield Problem(where=where, required=f"the package {name} (pip install {extra})", came="none")
        return
    every = settings["figures_every"]
    if every is not None and not (isinstance(every, int) and every >= 1):
        yield Problem(where=f"{where}.figures_every", required="null, or a number of epochs from 1", came=repr(every))
    if name == "wandb":
        yield from _of_wandb(settings["mode"])


def _of_wandb(mode: Any) -> Iterator[Problem]:
    if mode not in _MODES:
        yield Problem(where="logger.wandb.mode", required=" or ".join(_MODES), came=repr(mode))
    elif mode == "online" and not has_credentials():
        yield Problem(where="logger.wandb.mode", required="a login for online (`wandb login`, once)", came="none")
