"""The ranks of a job, connected: what rank 0 tells the others, and what all of them decide."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from fusion.training.rank import Rank

# The others wait while rank 0 extracts, scores and writes. One that dies is noticed all the same: by whoever started
# the ranks, and by its connections, which close.
_PATIENCE = timedelta(days=365)


@dataclass(frozen=True)
class Crew:
    """The connected ranks, seen from one of them.

    Attributes:
        rank: This one.
    """

    rank: Rank

    def tell(self, content: Mapping[str, Any] | None) -> None:
        """Send plain containers and tensors from rank 0 to the others; None sends them home."""
        stream = io.BytesIO()
        torch.save(content, stream)
        payload = torch.frombuffer(bytearray(stream.getvalue()), dtype=torch.uint8)
        dist.broadcast(torch.tensor([len(payload)]), src=0)
        dist.broadcast(payload, src=0)

    def listen(self) -> dict[str, Any] | None:
        """Wait for what rank 0 tells; nothing in it is executed."""
        size = torch.zeros(1, dtype=torch.int64)
        dist.broadcast(size, src=0)
        payload = torch.empty(int(size), dtype=torch.uint8)
        dist.broadcast(payload, src=0)
        content: dict[str, Any] | None = torch.load(
            io.BytesIO(payload.numpy().tobytes()), map_location="cpu", weights_only=True
        )
        return content

    def all_agree(self, agrees: bool) -> bool:
        """Whether every rank does; each has to say."""
        votes = torch.tensor([int(agrees)])
        dist.all_reduce(votes, op=dist.ReduceOp.MIN)
        return bool(votes)


def gather_rows(rows: Tensor, *, n_rows: int, rank: Rank) -> Tensor:
    """(N, ...) the rows of a batch in their order, on every rank, of the (B, ...) that each has of them."""
    if rank.count == 1:
        return rows
    # All ranks send the same size; what is too much falls away at the end.
    padded = rows.new_zeros(-(-n_rows // rank.count), *rows.shape[1:])
    padded[: len(rows)] = rows
    gathered = [torch.empty_like(padded) for _ in range(rank.count)]
    dist.all_gather(gathered, padded)
    return torch.stack(gathered, dim=1).flatten(0, 1)[:n_rows]


def mean_over_ranks(values: Tensor, *, rank: Rank) -> Tensor:
    """The mean of what the ranks have, on every rank."""
    if rank.count == 1:
        return values
    mean = values.clone()
    dist.all_reduce(mean)
    return mean / rank.count


# None where a fit has one device.
_CREW: ContextVar[Crew | None] = ContextVar("crew", default=None)


def current_crew() -> Crew | None:
    """The crew that fits are shared with; None where a fit has one device."""
    return _CREW.get()


@contextmanager
def connected(rank: Rank) -> Iterator[Crew]:
    """Connect with the other ranks, who have to do the same.

    Tensors on the CPU go by gloo, tensors on a GPU by NCCL.
    """
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(rank.local % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(
        backend, init_method=rank.meeting, rank=rank.number, world_size=rank.count, timeout=_PATIENCE
    )
    crew = Crew(rank)
    token = _CREW.set(crew)
    try:
        yield crew
    finally:
        _CREW.reset(token)
    # Only where all went well: a rank that left in a hurry is not waited for.
    dist.destroy_process_group()
