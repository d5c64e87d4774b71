"""Content keys and atomic files: what every cache and every result file rests on."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK_BYTES = 1 << 20


def file_digest(path: Path) -> str:
    """Sha256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def content_key(content: Any) -> str:
    """Sha256 (64 hex digits) of plain nested content; the order of mapping keys does not matter.

    Raises:
        TypeError: If the content holds anything but mappings, lists, tuples, strings, numbers, booleans and None.
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def array_digest(array: NDArray[Any]) -> str:
    """Sha256 (64 hex digits) of an array's kind, shape and values."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that is renamed onto it when the block ends well.

    A reader sees the old file or the whole new one, never a part; a block that fails leaves no trace.
    The temporary name keeps the suffix (of ``x.nii.gz`` all of it), since many writers choose their format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name.removesuffix(suffix)}.", suffix=suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock that processes share; it is free again when its process ends, however it ends.

    Args:
        path: Of the lock's own file.
        wait: False to go on without it where another process holds it.

    Yields:
        Whether it is held.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    try:
        held.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()


def write_json(path: Path, content: Any) -> None:
    """Write plain content as indented JSON, whole or not at all.

    Raises:
        ValueError: For NaN or infinity, which JSON does not have.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def kept_json(folder: Path, key: str, compute: Callable[[], Any]) -> Any:
    """Plain content of ``<key>.json``, or what ``compute`` gives, which is kept there; a damaged file is made anew.

    Args:
        folder: Of a cache; several processes may use it at once.
        key: Of everything that the content depends on.
        compute: Gives plain content.
    """
    path = folder / f"{key}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return kept["content"]
    # None yet, or a damaged one.
    except (OSError, ValueError, KeyError, TypeError):
        pass
    content = compute()
    write_json(path, {"key": key, "content": content})
    return content


def read_yaml(text: str) -> Any:
    """Plain content of YAML, by libyaml where PyYAML was built with it: ten times as fast.

    Raises:
        yaml.YAMLError: If it is none.
    """
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def write_yaml(content: Any) -> str:
    """The YAML of plain content, its keys in their order; likewise."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(content, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
