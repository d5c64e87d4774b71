"""A batch whose rows are divided among devices, and random numbers that do not depend on how they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Share:
    """The rows of a batch that this device has.

    Attributes:
        n_rows: N of the whole batch.
        mine: (B,) positions in it, in their order; there may be none.
    """

    n_rows: int
    mine: Tensor

    def only(self, kept: Tensor) -> Share:
        """The share of the smaller batch of the rows that are kept, (N,) bool."""
        positions = kept.cumsum(0) - 1
        return Share(n_rows=int(kept.sum()), mine=positions[self.mine[kept[self.mine]]])


# Where it is None, a device has the whole batch.
_SHARE: ContextVar[Share | None] = ContextVar("share", default=None)


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Let what runs within know that the rows at hand are a share of a batch."""
    token = _SHARE.set(share)
    try:
        yield
    finally:
        _SHARE.reset(token)


@contextmanager
def sharing_only(kept: Tensor) -> Iterator[None]:
    """As ``sharing``, of the rows of the whole batch that are kept, (N,) bool."""
    share = _SHARE.get()
    with sharing(share and share.only(kept)):
        yield


@contextmanager
def sharing_first() -> Iterator[None]:
    """As ``sharing``, of the first row of the whole batch, for a device that has none."""
    share = _SHARE.get()
    with sharing(share and Share(n_rows=share.n_rows, mine=share.mine.new_zeros(1))):
        yield


def at_hand(whole: Tensor) -> Tensor:
    """(B, ...) the rows at hand of a tensor of the whole batch, (N, ...)."""
    share = _SHARE.get()
    return whole if share is None else whole[share.mine]


def draw_rows(sample: Callable[[int], Tensor], n_rows: int) -> Tensor:
    """Random numbers for the rows at hand: those that they get where one device has the whole batch.

    Every device draws for the whole batch, so that all of them stay at the same place of the same random sequence.

    Args:
        sample: Gives (n, ...) random numbers for n rows.
        n_rows: B at hand.
    """
    share = _SHARE.get()
    return sample(n_rows) if share is None else sample(share.n_rows)[share.mine]


def draw_noise_for_whole_batches(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
    """Let layers that multiply by random numbers, such as dropout, draw them for the whole batch, in place.

    Args:
        network: Its layers stay what they are but for that: some networks look at them.
        kinds: Of layers each of whose outputs is, in training, its input times a random number.
    """
    for layer in network.modules():
        if isinstance(layer, kinds):
            layer.forward = _for_whole_batches(layer, layer.forward)


def _for_whole_batches(layer: nn.Module, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def disturb(rows: Tensor) -> Tensor:
        if not layer.training:
            return rows
        return rows * draw_rows(lambda n_rows: forward(rows.new_ones(n_rows, *rows.shape[1:])), len(rows))

    return disturb
