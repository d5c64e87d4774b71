"""The file of a fitted model: plain containers and tensors, of a known format and kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fusion.errors import FusionError
from fusion.storage import atomic_path

_FORMAT = 3


def write_checkpoint(path: Path, content: Mapping[str, Any], *, kind: str, split_sha256: str) -> None:
    """Write a model, whole or not at all.

    Args:
        path: Of the file.
        content: Plain containers and tensors.
        kind: Of the model: ``network`` or ``classical``.
        split_sha256: Of the split that it was fitted on.
    """
    with atomic_path(path) as temporary:
        torch.save({"format": _FORMAT, "kind": kind, "split_sha256": split_sha256, **content}, temporary)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what ``write_checkpoint`` wrote; nothing in the file is executed.

    Raises:
        FusionError: If the file is not such a model.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # torch raises many kinds for a file that is cut short, of another format, or holds code.
    except Exception as error:
        raise FusionError(f"{path}: required a model that train.py wrote, came an unreadable file: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise FusionError(f"{path}: required a model of format {_FORMAT}, came {found}; train it with this version")
    return content
