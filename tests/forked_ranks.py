"""Ranks as forks of the test's process, which has the heavy packages imported: they start at once."""

from __future__ import annotations

import multiprocessing
import os
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fusion.training.crew import Crew, connected
from fusion.training.fit import share_fit
from fusion.training.rank import Rank

_CONTEXT = multiprocessing.get_context("fork")
# Far more than any of them takes.
_SECONDS = 120

Task = Callable[[Any], Any]
Help = Callable[[dict[str, Any], Crew], Any]


def _share_fit(told: dict[str, Any], crew: Crew) -> None:
    share_fit(told, crew=crew)


def on_ranks(n_ranks: int, task: Task, *, place: Path, help_with: Help = _share_fit) -> Any:
    """What the task gives on rank 0; it must not hold tensors.

    Args:
        n_ranks: One is a process of its own and no rank.
        task: That rank 0 does.
        place: Where the ranks may meet.
        help_with: What the others do with what rank 0 tells: by default they lend their devices.
    """
    statuses, (ended_well, result) = end_of_ranks(n_ranks, task, place=place, help_with=help_with)
    assert ended_well, result
    assert statuses == [0] * n_ranks
    return result


def end_of_ranks(
    n_ranks: int, task: Task, *, place: Path, help_with: Help = _share_fit
) -> tuple[list[int | None], tuple[bool, Any]]:
    """As ``on_ranks``: exit status of each rank, and whether rank 0 ended well, with its result or its traceback."""
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    meeting = (place / uuid.uuid4().hex).as_uri()
    ranks = []
    for number in range(n_ranks):
        rank = Rank(number=number, count=n_ranks, local=number, node=0, meeting=meeting)
        ranks.append(_CONTEXT.Process(target=_be, args=(rank, task, help_with, sender)))
        ranks[-1].start()
    sender.close()
    try:
        ended = receiver.recv() if receiver.poll(_SECONDS) else (False, "it hangs")
    except EOFError:
        ended = (False, "it was killed")
    for process in ranks:
        process.join(_SECONDS if ended[0] else 20)
        process.kill()
        process.join()
    receiver.close()
    return [process.exitcode for process in ranks], ended


def _be(rank: Rank, task: Task, help_with: Help, sender: Any) -> None:
    # The pool of threads stayed behind.
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    try:
        if rank.count == 1:
            sender.send((True, task(None)))
            return
        with connected(rank) as crew:
            if rank.number > 0:
                while (told := crew.listen()) is not None:
                    help_with(told, crew)
                return
            result = task(crew)
            crew.tell(None)
        sender.send((True, result))
    except BaseException:
        if rank.number == 0:
            sender.send((False, traceback.format_exc()))
        else:
            traceback.print_exc()
        # Not what the fork would do at its end as a test.
        os._exit(1)
