"""Processes of a script that trains nothing: how they are started, watched and ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusion.errors import FusionError
from fusion.training import spawning
from fusion.training.spawning import spawn_ranks

# What every script begins with. Rank 0 waits without end unless it is told otherwise.
HEAD = """
import os, signal, sys, time
from fusion.errors import FusionError
from fusion.training.rank import Rank
from fusion.training.ranks import _failures_told
rank = Rank.of_this_process(by_slurm=False)
open(f"rank-{rank.number}", "w").write(str(os.getpid()))
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this process one that was started by a script with this body, and that waits for no one for long."""
    monkeypatch.setattr(spawning, "_GRACE_SECONDS", 0.3)

    def make(body: str) -> None:
        (tmp_path / "script.py").write_text(HEAD + body)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["script.py", "given", "to", "this"])

    return make


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # One that has ended and was not waited for is still listed.
    return ") Z " not in Path(f"/proc/{process}/stat").read_text()


def test_each_rank_knows_its_place_and_this_process_stays_as_it_was(
    script: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    script("print(rank.number, rank.count, rank.local, *sys.argv[1:]); print('heard', rank.number, file=sys.stderr)")
    before, on_sigterm = dict(os.environ), signal.getsignal(signal.SIGTERM)
    for _ in range(2):
        spawn_ranks(3, ["resume=folder", "fold=1"])
        assert os.environ == before
    assert signal.getsignal(signal.SIGTERM) == on_sigterm
    out, err = capfd.readouterr()
    assert out == "0 3 0 resume=folder fold=1\n" * 2
    assert sorted(err.splitlines()) == sorted(["heard 0", "heard 1", "heard 2"] * 2)


def test_a_rank_that_fails_ends_the_job_with_its_traceback(script: Any, capfd: pytest.CaptureFixture[str]) -> None:
    script("if rank.number == 1: raise ValueError('no such thing')\ntime.sleep(1000)")
    with pytest.raises(FusionError, match="rank 1 of 2 failed"):
        spawn_ranks(2, [])
    assert "ValueError: no such thing" in capfd.readouterr().err


def test_a_rank_that_is_killed_ends_the_job(script: Any, capfd: pytest.CaptureFixture[str]) -> None:
    script("if rank.number == 1: os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(1000)")
    with pytest.raises(SystemExit) as ended:
        spawn_ranks(2, [])
    assert ended.value.code == 128 + signal.SIGKILL
    assert "rank 1 of 2 was killed by signal 9" in capfd.readouterr().err
    assert not is_alive(int(Path("rank-0").read_text()))


def test_what_the_user_can_mend_comes_as_it_was_said(script: Any, capfd: pytest.CaptureFixture[str]) -> None:
    script("""
with _failures_told(rank):
    if rank.number == 0: raise FusionError("required a table, came none")
    raise RuntimeError("Connection closed by peer")
""")
    with pytest.raises(FusionError, match=r"^required a table, came none$"):
        spawn_ranks(2, [])
    assert capfd.readouterr().err == ""


def test_rank_0_may_end_in_its_own_way(script: Any) -> None:
    script("sys.exit(75) if rank.number == 0 else time.sleep(1000)")
    with pytest.raises(SystemExit) as ended:
        spawn_ranks(2, [])
    assert ended.value.code == 75


def test_ranks_that_only_lost_each_other_say_so(script: Any) -> None:
    script("with _failures_told(rank): raise RuntimeError('Connection reset by peer')")
    with pytest.raises(FusionError, match="the 2 ranks lost their connection to each other"):
        spawn_ranks(2, [])


PARENT = """
import sys
from fusion.training import spawning
sys.argv, spawning._GRACE_SECONDS = ["script.py"], 0.3
spawning.spawn_ranks(2, [])
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_no_rank_outlives_the_process_that_started_it(
    script: Any, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    script("""
with _failures_told(rank):
    if rank.number > 0: signal.signal(signal.SIGINT, signal.SIG_IGN)
    open(f"ready-{rank.number}", "w")
    try:
        time.sleep(1000)
    except KeyboardInterrupt:
        sys.exit(130)
""")
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path)
    wait_until(lambda: all((tmp_path / f"ready-{rank}").exists() for rank in (0, 1)))
    parent.send_signal(number)
    assert parent.wait() == status
    ranks = [int((tmp_path / f"rank-{rank}").read_text()) for rank in (0, 1)]
    wait_until(lambda: not any(is_alive(rank) for rank in ranks))


def wait_until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
