import io
from itertools import count

import pytest
from rich.console import Console

from fusion.imaging import progress
from fusion.imaging.progress import show_progress


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, seconds: float) -> str:
    stream = io.StringIO()
    clock = count(step=seconds)
    console = Console(file=stream, force_terminal=terminal, width=80)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    monkeypatch.setattr("fusion.imaging.progress.time.monotonic", lambda: next(clock))
    assert list(show_progress(range(3), total=3, description="Reading images")) == [0, 1, 2]
    return stream.getvalue()


def test_those_who_wait_see_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Reading images" in shown(monkeypatch, terminal=True, seconds=3.0)


def test_the_others_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=True, seconds=0.1) == ""


def test_a_file_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=False, seconds=3.0) == ""
