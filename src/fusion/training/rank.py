"""The place of one process among those that share a fit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

# Where the ranks of this machine meet; set by `spawning` alone.
MEETING = "FUSION_RANKS_MEET_AT"


@dataclass(frozen=True, kw_only=True)
class Rank:
    """One of the processes, each with a device of its own, that share the batches of a fit.

    Attributes:
        number: From 0.
        count: Of all of them.
        local: Number among those of this machine.
        node: Number of the machine.
        meeting: Where they meet, as ``torch.distributed`` reads it.
    """

    number: int
    count: int
    local: int
    node: int
    meeting: str

    @property
    def rows(self) -> slice:
        """Which rows of a batch are its own."""
        return slice(self.number, None, self.count)

    @classmethod
    def of_this_process(cls, *, by_slurm: bool) -> Self | None:
        """As torchrun or Fusion itself has said in the environment; None where this process is no rank.

        Args:
            by_slurm: Whether tasks of SLURM are ranks: also an interactive shell of SLURM says that it is a task.
        """
        has = os.environ
        if "RANK" in has and int(has.get("WORLD_SIZE", 1)) > 1:
            numbers = (int(has.get(name, 0)) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_RANK"))
            return cls._of(numbers, has.get(MEETING, "env://"))
        if by_slurm and "SLURM_PROCID" in has and int(has.get("SLURM_NTASKS", 1)) > 1:
            names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NODEID")
            numbers = (int(has[name]) for name in names)
            return cls._of(numbers, _slurm_meeting(has))
        return None

    @classmethod
    def _of(cls, numbers: Iterable[int], meeting: str) -> Self:
        number, count, local, node = numbers
        return cls(number=number, count=count, local=local, node=node, meeting=meeting)

    @classmethod
    def before_configuration(cls, arguments: Sequence[str]) -> Self | None:
        """As ``of_this_process``, for a command line that is not composed yet."""
        return cls.of_this_process(by_slurm="trainer=ddp_slurm" in arguments)


ALONE = Rank(number=0, count=1, local=0, node=0, meeting="")


def _slurm_meeting(has: Mapping[str, str]) -> str:
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    address = has.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(has["SLURM_STEP_NODELIST"])
    # The same for all tasks of a step, and hardly that of another step on the same machine.
    port = has.get("MASTER_PORT") or 12_000 + (16 * int(has["SLURM_JOB_ID"]) + int(has["SLURM_STEP_ID"])) % 20_000
    return f"tcp://{address}:{port}"
