import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fusion.errors import FusionError
from fusion.training.checkpoint import read_checkpoint, write_checkpoint


class Malice:
    """Runs code where a pickle is trusted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fold_0" / "model.ckpt"


def write(path: Path, **content: Any) -> None:
    write_checkpoint(
        path, {"weights": torch.arange(1000.0), "names": ["a", "b"], **content}, kind="x", split_sha256="s"
    )


def test_content_comes_back_with_its_kind_and_its_split(path: Path) -> None:
    write(path)
    content = read_checkpoint(path)
    assert torch.equal(content.pop("weights"), torch.arange(1000.0))
    assert content == {"format": 3, "kind": "x", "split_sha256": "s", "names": ["a", "b"]}


def test_it_is_written_whole_or_not_at_all(path: Path) -> None:
    write(path)
    before = path.read_bytes()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        write(path, unwritable=lambda: None)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.95])
def test_a_truncated_file_is_told(path: Path, kept: float) -> None:
    write(path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(FusionError, match=r"model.ckpt: required a model that train.py wrote, came an unreadable file"):
        read_checkpoint(path)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_with_code_is_told_and_its_code_is_not_run(
    tmp_path: Path, save: Callable[[object, Path], object]
) -> None:
    save({"format": 3, "kind": "network", "state_dict": Malice(tmp_path / "ran")}, tmp_path / "model.ckpt")
    with pytest.raises(FusionError, match=r"required a model that train\.py wrote, came an unreadable file"):
        read_checkpoint(tmp_path / "model.ckpt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "came"), [({"format": 2}, "2"), ({"format": 99}, "99"), ([1, 2], "list"), ({"epoch": 3}, "None")]
)
def test_a_file_of_another_format_is_told(tmp_path: Path, content: object, came: str) -> None:
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(FusionError, match=rf"required a model of format 3, came {came}; train it with this version"):
        read_checkpoint(tmp_path / "model.ckpt")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FusionError, match=r"absent.ckpt: required a model"):
        read_checkpoint(tmp_path / "absent.ckpt")
