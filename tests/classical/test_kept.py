import logging
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fusion.classical.kept import kept
from fusion.storage import content_key

KEY, OTHER = content_key("this"), content_key("that")
# Forked, since a new process takes seconds to import torch; it does nothing with threads here.
PROCESSES = multiprocessing.get_context("fork")


def in_a_process(folder: Path, *, n_processes: int, seconds: float) -> None:
    """Begin together with the others, and leave a file for each computation, so that they can be counted."""

    def compute() -> dict[str, Any]:
        (folder / f"computed-{os.getpid()}").touch()
        time.sleep(seconds)
        return {"by": os.getpid()}

    (folder / f"ready-{os.getpid()}").touch()
    while len(list(folder.glob("ready-*"))) < n_processes:
        time.sleep(0.01)
    entry = kept(folder / "cache", KEY, compute=compute)
    (folder / f"came-{os.getpid()}").write_text(str(entry["by"]))


class Counter:
    """A computation that counts how often it is asked for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> dict[str, Any]:
        self.count += 1
        return {"weights": torch.arange(5000.0), "names": ["a", "b"], "nested": {"pair": (1, 0.1), "none": None}}


@pytest.fixture
def compute() -> Counter:
    return Counter()


def entry_of(folder: Path) -> Path:
    (path,) = folder.rglob("*.pt")
    return path


def test_computed_once_and_then_read(tmp_path: Path, compute: Counter) -> None:
    first, second = (kept(tmp_path, KEY, compute=compute) for _ in range(2))
    assert compute.count == 1
    for entry in (first, second):
        assert torch.equal(entry.pop("weights"), torch.arange(5000.0))
        assert entry == {"names": ["a", "b"], "nested": {"pair": (1, 0.1), "none": None}}
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()] == [
        Path(KEY[:2], KEY[2:] + ".pt")
    ]


def test_another_key_is_another_entry(tmp_path: Path, compute: Counter) -> None:
    kept(tmp_path, KEY, compute=compute)
    kept(tmp_path, OTHER, compute=compute)
    assert compute.count == 2
    assert len(list(tmp_path.rglob("*.pt"))) == 2


def test_the_same_entry_has_the_same_bytes(tmp_path: Path, compute: Counter) -> None:
    for name in ("a", "b"):
        kept(tmp_path / name, KEY, compute=compute)
    assert entry_of(tmp_path / "a").read_bytes() == entry_of(tmp_path / "b").read_bytes()


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-100],
        lambda content: content[:10],
        lambda content: b"",
        _flip,
        lambda content: b"x" * 99,
    ],
    ids=["cut", "cut in the checksum", "empty", "one bit", "another file"],
)
def test_a_damaged_entry_is_computed_again(
    tmp_path: Path, compute: Counter, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    kept(tmp_path, KEY, compute=compute)
    path = entry_of(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        entry = kept(tmp_path, KEY, compute=compute)
    assert compute.count == 2
    assert torch.equal(entry["weights"], torch.arange(5000.0))
    assert path.read_bytes() == whole
    assert str(path) in caplog.text


def test_the_entry_of_another_key_is_not_taken(tmp_path: Path, compute: Counter) -> None:
    kept(tmp_path, OTHER, compute=lambda: {"names": ["foreign"]})
    path = tmp_path / KEY[:2] / f"{KEY[2:]}.pt"
    path.parent.mkdir()
    entry_of(tmp_path).rename(path)
    assert kept(tmp_path, KEY, compute=compute)["names"] == ["a", "b"]


def test_a_computation_that_fails_leaves_nothing_and_can_be_tried_again(tmp_path: Path, compute: Counter) -> None:
    def fail() -> dict[str, Any]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept(tmp_path, KEY, compute=fail)
    assert not list(tmp_path.rglob("*.pt"))
    kept(tmp_path, KEY, compute=compute)
    assert compute.count == 1


def test_what_could_not_be_read_again_is_not_kept(tmp_path: Path, compute: Counter) -> None:
    with pytest.raises(Exception, match="weights_only"):
        kept(tmp_path, KEY, compute=lambda: {"neither a container nor a tensor": compute})
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_of_several_processes_one_computes(tmp_path: Path) -> None:
    settings = {"n_processes": 2, "seconds": 0.3}
    processes = [PROCESSES.Process(target=in_a_process, args=(tmp_path,), kwargs=settings) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    (computed,) = tmp_path.glob("computed-*")
    assert [path.read_text() for path in tmp_path.glob("came-*")] == [computed.name.removeprefix("computed-")] * 2
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_dies_over_it_frees_it(tmp_path: Path, compute: Counter) -> None:
    process = PROCESSES.Process(target=in_a_process, args=(tmp_path,), kwargs={"n_processes": 1, "seconds": 60})
    process.start()
    while not list(tmp_path.glob("computed-*")):
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    assert kept(tmp_path / "cache", KEY, compute=compute)["names"] == ["a", "b"]
    assert not list(tmp_path.rglob("*.lock"))
    process.join()
