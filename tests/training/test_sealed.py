from pathlib import Path

import pytest
import torch

from fusion.training.sealed import read_sealed, write_sealed


def test_what_was_written_comes_back_under_its_key_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "deep/file.pt"
    assert read_sealed(path, "key") is None
    write_sealed(path, "key", {"values": torch.arange(3), "plain": [1, "a", None]})
    content = read_sealed(path, "key")
    assert torch.equal(content["values"], torch.arange(3))
    assert content["plain"] == [1, "a", None]
    assert not caplog.text
    assert read_sealed(path, "another") is None
    assert "is damaged" in caplog.text


def test_one_wrong_byte_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    write_sealed(path, "key", {"values": torch.zeros(1000)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert read_sealed(path, "key") is None


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        write_sealed(tmp_path / name, "key", {"values": torch.ones(3)})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
