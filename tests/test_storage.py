import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusion.storage import array_digest, atomic_path, content_key, file_digest, read_yaml, write_json, write_yaml


@pytest.fixture
def umask_022() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def break_off(target: Path, error: type[BaseException]) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half of the ne")
        raise error


def test_digest_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_digest_of_a_file_that_is_read_in_pieces(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192 + b"end"
    (tmp_path / "a").write_bytes(content)
    assert file_digest(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_content_key_ignores_the_order_of_keys_and_nothing_else() -> None:
    key = content_key({"a": 1, "b": {"c": [1, 2], "d": None}})
    assert key == content_key({"b": {"d": None, "c": (1, 2)}, "a": 1})
    others = (
        {"a": 1, "b": {"c": [2, 1], "d": None}},
        {"a": "1", "b": {"c": [1, 2], "d": None}},
        {"a": 1, "b": {"c": [1, 2]}, "d": None},
    )
    assert len({key, *(content_key(other) for other in others)}) == 4
    assert len(key) == 64


def test_content_key_is_the_same_in_every_process_and_version() -> None:
    assert content_key({"b": ["x", None, 0.1], "a": 1}) == hashlib.sha256(b'{"a":1,"b":["x",null,0.1]}').hexdigest()


@pytest.mark.parametrize("content", [{"a": {1, 2}}, Path("a"), [b"a"], object()])
def test_content_key_refuses_what_is_not_plain(content: object) -> None:
    with pytest.raises(TypeError):
        content_key(content)


def test_array_digest_is_of_kind_shape_and_values() -> None:
    array = np.arange(6.0).reshape(2, 3)
    expected = hashlib.sha256(b"<f8 (2, 3)" + np.array([0, 1, 2, 3, 4, 5], dtype="<f8").tobytes()).hexdigest()
    assert array_digest(array) == expected
    others = (array.astype(np.float32), array.astype(np.int64), array.T, array.reshape(3, 2), array.ravel(), array + 1)
    assert len({expected, *(array_digest(other) for other in others)}) == 7
    empty = [np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(0)]
    assert len({array_digest(array) for array in empty}) == 3


def test_array_digest_does_not_depend_on_the_memory() -> None:
    array = np.arange(24.0).reshape(4, 6)
    same = (np.asfortranarray(array), np.repeat(array, 2, axis=1)[:, ::2], array[:, np.arange(6)])
    assert {array_digest(each) for each in same} == {array_digest(array)}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("scan.png", ".png"), ("scan.nii.gz", ".nii.gz"), ("no_suffix", ""), ("1.2.840.png", ".png"), (".hidden", "")],
)
def test_atomic_file_is_whole_and_alone(tmp_path: Path, name: str, suffix: str) -> None:
    target = tmp_path / "new" / "folder" / name
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary != target
        assert temporary.name.endswith(suffix)
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_trace(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    with pytest.raises(error):
        break_off(target, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_without_an_old_file_leaves_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.csv"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_is_replaced_whole_under_the_eyes_of_its_reader(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("a long old text")
    with target.open() as reader:
        with atomic_path(target) as temporary:
            temporary.write_text("new")
        assert reader.read() == "a long old text"
    assert target.read_text() == "new"


def test_others_may_read_the_file_as_any_other(tmp_path: Path, umask_022: None) -> None:
    with atomic_path(tmp_path / "a.csv") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o644
    assert os.umask(0o022) == 0o022


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, {"auc": 0.1 + 0.2, "center": "Köln"})
    assert json.loads(target.read_text()) == {"auc": 0.1 + 0.2, "center": "Köln"}
    before = target.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(target, {"auc": float("nan")})
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_yaml_comes_back_as_it_was_and_in_its_order() -> None:
    content = {"z": [1, 2.5, None, True], "a": {"b": "ü: #", "c": "2026-01-31"}}
    text = write_yaml(content)
    assert read_yaml(text) == content
    assert list(read_yaml(text)) == ["z", "a"]
    assert "ü" in text


def test_yaml_makes_no_objects() -> None:
    with pytest.raises(yaml.YAMLError):
        read_yaml("!!python/object/apply:os.getcwd []")
