"""Ranks as forks of the test's process, which has the heavy packages imported: they start at once."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fusion.training.crew import Crew, connected
from fusion.training.fit import share_fit
from fusion.training.rank import Rank

_CONTEXT = multiprocessing.get_context("fork")


def on_ranks(n_ranks: int, task: Callable[[Crew], Any], *, place: Path) -> Any:
    """What the task gives on rank 0, while the others lend their devices; an error there is one here."""
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    ranks = [start_rank(number, n_ranks, task, place=place, sender=sender) for number in range(n_ranks)]
    sender.close()
    try:
        ended_well, result = receiver.recv()
    finally:
        for rank in ranks:
            rank.join(20)
            rank.kill()
    assert ended_well, result
    assert [rank.exitcode for rank in ranks] == [0] * n_ranks
    return result


def start_rank(number: int, n_ranks: int, task: Callable[[Crew], Any], *, place: Path, sender: Any) -> Any:
    """A rank that has begun; rank 0 sends whether it ended well, and its result or traceback."""
    meeting = (place / f"meeting-{n_ranks}").as_uri()
    rank = Rank(number=number, count=n_ranks, local=number, node=0, meeting=meeting)
    process = _CONTEXT.Process(target=_be, args=(rank, task, sender))
    process.start()
    return process


def _be(rank: Rank, task: Callable[[Crew], Any], sender: Any) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    try:
        with connected(rank) as crew:
            if rank.number > 0:
                while (told := crew.listen()) is not None:
                    share_fit(told, crew=crew)
                return
            result = task(crew)
            crew.tell(None)
        sender.send((True, result))
    except BaseException:
        if rank.number > 0:
            raise
        sender.send((False, traceback.format_exc()))
        os._exit(1)
