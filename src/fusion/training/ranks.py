"""A job on several devices: rank 0 does all of it, the others only lend their devices to its fits."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlparse

from fusion.errors import FusionError, InputError, Problem
from fusion.training.rank import MEETING, Rank
from fusion.training.spawning import LEFT_ALONE, failure_report, spawn_ranks

_ADVICE = "See conf/trainer/ddp.yaml."
# What gloo and NCCL say when the rank at the other end of a connection has ended.
_GONE = (
    "onnection closed by peer",
    "onnection reset by peer",
    "roken pipe",
    "onnection refused",
    "remote process exited",
)


def run_on_ranks(task: Callable[[], None], *, trainer: Mapping[str, Any], rerun: Sequence[str]) -> None:
    """Do a task whose fits have the devices that ``conf/trainer`` asks for.

    With one device it is simply done. With several, this script is run again once per device, unless torchrun or srun
    has done so: then rank 0 does the task, and every other rank waits for its fits, shares them, and ends with it.

    Args:
        task: What one process does, fits included.
        trainer: The group of the configuration.
        rerun: Arguments that make this script do the same task in other processes.

    Raises:
        FusionError: If the devices asked for make no sense or are not there, or a rank fails.
        SystemExit: On a rank that has lent its device, and where the task was ended from outside.
    """
    rank = Rank.of_this_process(by_slurm=trainer["launch"] == "srun")
    _check(trainer, rank)
    if rank is not None and rank.number > 0:
        _lend_device(rank)
    if rank is not None:
        with _failures_told(rank):
            from fusion.training.crew import connected

            with connected(rank) as crew:
                task()
                crew.tell(None)
    elif n_ranks(trainer) > 1:
        spawn_ranks(n_ranks(trainer), rerun)
    else:
        task()


def lend_device_if_rank(arguments: Sequence[str]) -> None:
    """In a rank other than 0, lend the device until the job's end and leave; else do nothing.

    Before anything is composed, so that these ranks make no run folder.

    Args:
        arguments: Of the command.
    """
    rank = Rank.before_configuration(arguments)
    if rank is not None and rank.number > 0:
        _lend_device(rank)


def n_ranks(trainer: Mapping[str, Any]) -> int:
    """How many devices fits are shared by."""
    return int(trainer["devices"]) * int(trainer["nodes"])


def _lend_device(rank: Rank) -> NoReturn:
    import signal

    # The user's Ctrl-C is for rank 0, whose end is theirs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with _failures_told(rank):
        from fusion.training.crew import connected
        from fusion.training.fit import share_fit

        with connected(rank) as crew:
            while (fit := crew.listen()) is not None:
                share_fit(fit, crew=crew)
    sys.exit(0)


@contextmanager
def _failures_told(rank: Rank) -> Iterator[None]:
    """Leave a message for who started the ranks, and none where the failure is only another rank's."""
    place = Path(urlparse(rank.meeting).path).parent if MEETING in os.environ else None
    if place is None:
        yield
        return
    _end_with_parent()
    try:
        yield
    except FusionError as error:
        failure_report(place, rank.number).write_text(str(error), encoding="utf-8")
        sys.exit(1)
    except Exception as error:
        if any(sign in str(error) for sign in _GONE):
            sys.exit(LEFT_ALONE)
        raise


def _end_with_parent() -> None:
    """End this process when the one that holds the other end of its input does, however that ends."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(LEFT_ALONE)

    threading.Thread(target=wait, daemon=True).start()


def _check(trainer: Mapping[str, Any], rank: Rank | None) -> None:
    problems = [*_setting_problems(trainer)] or [*_device_problems(trainer, rank)]
    if problems:
        raise InputError("devices of the fits", problems, _ADVICE)


def _setting_problems(trainer: Mapping[str, Any]) -> Iterator[Problem]:
    options = {
        "strategy": ("none", "ddp"),
        "launch": ("own", "srun"),
        "lr_scaling": ("none", "linear", "sqrt"),
        "precision": ("auto", "32-true", "64-true", "bf16-mixed", "16-mixed"),
    }
    for key, allowed in options.items():
        if trainer[key] not in allowed:
            yield Problem(where=f"trainer.{key}", required=f"one of {', '.join(allowed)}", came=repr(trainer[key]))
    for key in ("devices", "nodes", "batch_size", "reference_batch_size"):
        if not isinstance(trainer[key], int) or trainer[key] < 1:
            yield Problem(where=f"trainer.{key}", required="a number of 1 or more", came=repr(trainer[key]))


def _device_problems(trainer: Mapping[str, Any], rank: Rank | None) -> Iterator[Problem]:
    count, accelerator, has_ddp = n_ranks(trainer), trainer["accelerator"], trainer["strategy"] == "ddp"
    if count > 1 and not has_ddp:
        asked = f"trainer.devices={trainer['devices']}, trainer.nodes={trainer['nodes']}"
        yield Problem(where="trainer.strategy", required=f"ddp, with {asked}", came=repr(trainer["strategy"]))
    if count > trainer["batch_size"]:
        yield Problem(
            where="trainer.batch_size", required=f"{count} or more: a case a device", came=trainer["batch_size"]
        )
    if has_ddp and accelerator not in ("auto", "cpu", "gpu", "cuda"):
        yield Problem(where="trainer.accelerator", required="auto, cpu, gpu or cuda, with ddp", came=repr(accelerator))
    if rank is not None and rank.count != count:
        started = f"{rank.count} processes, as torchrun or srun started them"
        yield Problem(where="trainer.devices times trainer.nodes", required=started, came=str(count))
    if rank is None and count > 1 and trainer["launch"] == "srun":
        yield Problem(where="trainer.launch=srun", required=f"srun --ntasks={count}", came="a process alone")
    if rank is None and trainer["nodes"] > 1 and trainer["launch"] == "own":
        yield Problem(where="trainer.nodes", required="1, or torchrun on every node", came=str(trainer["nodes"]))
    yield from _gpu_problems(trainer)


def _gpu_problems(trainer: Mapping[str, Any]) -> Iterator[Problem]:
    if trainer["precision"] == "16-mixed" and not _has_gpu(trainer["accelerator"]):
        yield Problem(where="trainer.precision", required="any but 16-mixed, which takes a GPU", came="'16-mixed'")
    if trainer["strategy"] == "none" or trainer["accelerator"] == "cpu":
        return
    import torch

    n_there = torch.cuda.device_count()
    if n_there < trainer["devices"] and (n_there or trainer["accelerator"] != "auto"):
        required = f"{n_there} or less: so many GPUs does torch find here; trainer.accelerator=cpu does without"
        yield Problem(where="trainer.devices", required=required, came=str(trainer["devices"]))


def _has_gpu(accelerator: str) -> bool:
    import torch

    return accelerator != "cpu" and torch.cuda.is_available()
