"""Expensive stages kept on disk, under a key of everything that they depend on, and computed once for all processes."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from fusion.storage import atomic_path

_log = logging.getLogger(__name__)


def kept(cache_dir: Path, key: str, *, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is kept under the key; where there is nothing, it is computed and kept.

    Of several processes that ask at once, one computes and the others wait and read. One that dies over it lets the
    next one compute. An entry that is damaged, or that belongs to another key, is computed anew.

    Args:
        cache_dir: Made if absent; several processes may use it at once.
        key: Sha256 (hex digits) of everything that the entry depends on, see ``storage.content_key``.
        compute: Gives the entry: plain containers and tensors. It must not ask for the same key.

    Returns:
        The entry as it was read back, whoever computed it; tensors are on the CPU.
    """
    path = cache_dir / key[:2] / f"{key[2:]}.pt"
    entry = _read(path, key)
    if entry is not None:
        return entry
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_suffix(".lock")
    with FileLock(lock):
        # Another process may have computed it while this one waited.
        entry = _read(path, key)
        if entry is None:
            entry = _write(path, key, compute())
        # The entry is there, so whoever still waits for this file's lock, or makes another, finds it and goes on.
        lock.unlink(missing_ok=True)
    return entry


def _write(path: Path, key: str, entry: dict[str, Any]) -> dict[str, Any]:
    # Into memory first: torch would write a file's own name, which is a temporary one, into the file.
    stream = io.BytesIO()
    torch.save({"key": key, "entry": entry}, stream)
    payload = stream.getvalue()
    # Before it is kept, so that nothing is kept that cannot be read.
    written: dict[str, Any] = _load(payload)["entry"]
    with atomic_path(path) as temporary:
        temporary.write_bytes(_digest(payload) + payload)
    return written


def _read(path: Path, key: str) -> dict[str, Any] | None:
    """The entry, or None where there is none or the file is not it."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    n_digest = hashlib.sha256().digest_size
    digest, payload = content[:n_digest], content[n_digest:]
    found = _load(payload) if digest == _digest(payload) else {}
    if found.get("key") != key:
        _log.warning("%s is damaged; what it held is computed again", path)
        return None
    entry: dict[str, Any] = found["entry"]
    return entry


def _load(payload: bytes) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return content


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()
