"""Files of plain containers and tensors that are whole and of known content, or not read at all."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from fusion.storage import atomic_path

_log = logging.getLogger(__name__)
_N_DIGEST = hashlib.sha256().digest_size


def write_sealed(path: Path, key: str, content: Any) -> None:
    """Write plain containers and tensors under a key, whole or not at all."""
    # Into memory first: torch would write a file's own name, which is a temporary one, into the file.
    stream = io.BytesIO()
    torch.save({"key": key, "content": content}, stream)
    payload = stream.getvalue()
    with atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(payload).digest() + payload)


def read_sealed(path: Path, key: str) -> Any:
    """What was written under the key, on the CPU; nothing in it is executed.

    Returns:
        None where there is no file, or one that is damaged or of another key; of that a warning is logged.
    """
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, payload = written[:_N_DIGEST], written[_N_DIGEST:]
    whole = hashlib.sha256(payload).digest() == digest
    found = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True) if whole else {}
    if found.get("key") != key:
        _log.warning("%s is damaged; what it held is computed again", path)
        return None
    return found["content"]
