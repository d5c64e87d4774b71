"""Start a script once per device of this machine, and end all of them when one fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from fusion.errors import FusionError
from fusion.training.rank import MEETING

# Exit status of a rank that another one has left: that one has something to say.
LEFT_ALONE = 76
# Of a process that a signal ended, as shells count.
_KILLED = 128
_POLL_SECONDS = 0.05
# For ranks that notice by themselves that another one failed, and close what they have open.
_GRACE_SECONDS = 5.0


def spawn_ranks(n_ranks: int, arguments: Sequence[str]) -> None:
    """Run this script again as ``n_ranks`` processes with these arguments, and wait for them.

    The environment of this process stays as it is. Rank 0 speaks, of the others only failures are heard. Nothing of
    them outlives this process, however that ends.

    Raises:
        FusionError: If one fails, with its message.
        SystemExit: If whoever started this process ends it, a rank is killed, or rank 0 ends in its own way, such as
            after the user's Ctrl-C.
        KeyboardInterrupt: If the user ends it before that.
    """
    with tempfile.TemporaryDirectory(prefix="fusion-ranks-") as place, ExitStack() as stack:
        stop = stack.enter_context(_Stop.on_signals())
        ranks = [
            stack.enter_context(_started(number, n_ranks, arguments, place=Path(place))) for number in range(n_ranks)
        ]
        _wait(ranks, stop)
        statuses = [rank.returncode for rank in ranks]
        if stop.signal == signal.SIGTERM:
            raise SystemExit(_KILLED + signal.SIGTERM)
        # Rank 0 has said why it ends in its own way, if it had come so far.
        if (statuses[0] or 0) > 1 and statuses[0] != LEFT_ALONE:
            raise SystemExit(statuses[0])
        if stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if any(statuses):
            raise _failure(statuses, Path(place))


def failure_report(place: Path, number: int) -> Path:
    """Where a rank leaves the message of what the user can mend."""
    return place / f"failure-{number}.txt"


class _Stop:
    """What ended the wait from outside: Ctrl-C, which rank 0 answers, or a polite kill."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @classmethod
    @contextmanager
    def on_signals(cls) -> Iterator[_Stop]:
        stop = cls()

        def notice(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- as signal calls it
            stop.signal = number

        if threading.current_thread() is not threading.main_thread():
            yield stop
            return
        before = {number: signal.signal(number, notice) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _started(number: int, n_ranks: int, arguments: Sequence[str], *, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A rank in a process group of its own: Ctrl-C reaches this process alone, which passes it on."""
    from joblib import cpu_count

    environment = {
        "OMP_NUM_THREADS": str(max(1, cpu_count() // n_ranks)),
        # All of them are on this machine, whatever its name resolves to.
        "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
        # Torch advises against what is done on purpose.
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        **os.environ,
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(n_ranks),
        MEETING: (place / "meeting").as_uri(),
    }
    rank = subprocess.Popen(
        [sys.executable, sys.argv[0], *arguments],
        stdin=subprocess.PIPE,
        stdout=None if number == 0 else subprocess.DEVNULL,
        env=environment,
        process_group=0,
    )
    try:
        yield rank
    finally:
        rank.kill()
        rank.wait()
        assert rank.stdin is not None
        rank.stdin.close()


def _wait(ranks: Sequence[subprocess.Popen[bytes]], stop: _Stop) -> None:
    """Until all have ended, or one has failed and the others had time to follow."""
    passed_on, end = False, float("inf")
    while None in (statuses := [rank.poll() for rank in ranks]) and time.monotonic() < end:
        if (any(statuses) or stop.signal == signal.SIGTERM) and end == float("inf"):
            end = time.monotonic() + _GRACE_SECONDS
        if stop.signal is not None and not passed_on:
            passed_on = True
            ranks[0].send_signal(stop.signal)
        time.sleep(_POLL_SECONDS)


def _failure(statuses: Sequence[int | None], place: Path) -> BaseException:
    reports = [failure_report(place, number) for number in range(len(statuses))]
    said = next((report.read_text(encoding="utf-8") for report in reports if report.exists()), None)
    if said is not None:
        return FusionError(said)
    # Those that ended by themselves only followed.
    order = sorted(range(len(statuses)), key=lambda number: (_rank_of_failure(statuses[number]), number))
    number, status = order[0], statuses[order[0]] or 0
    if status < 0:
        print(f"\nrank {number} of {len(statuses)} was killed by signal {-status}, and the job ends", file=sys.stderr)
        return SystemExit(_KILLED - status)
    if status == LEFT_ALONE:
        return FusionError(f"the {len(statuses)} ranks lost their connection to each other")
    return FusionError(f"rank {number} of {len(statuses)} failed, and the job ends; what it said stands above")


def _rank_of_failure(status: int | None) -> int:
    """Signals come first, then other failures, then who was left alone, or was still there when the others ended."""
    if status is None or status == 0:
        return 3
    if status < 0:
        return 0
    return 2 if status == LEFT_ALONE else 1
