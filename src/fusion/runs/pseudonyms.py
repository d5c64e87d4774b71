"""Ids that say nothing of the patient to who does not hold the secret."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fusion.errors import FusionError
from fusion.storage import file_lock

_N_DIGITS = 16
_N_SECRET_BYTES = 32
_N_SHORTEST = 16

# Kind of id (``patient`` or ``case``) and id → what stands in its place.
Naming = Callable[[str, str], str]


def plain_names(kind: str, identifier: str) -> str:  # noqa: ARG001
    """Ids as they are."""
    return identifier


def pseudonyms(key_file: Path) -> Naming:
    """HMAC-SHA256 of ids, shortened to 16 hex digits.

    Ids of hospitals are short and guessable, so that a hash without a secret, or with one that is kept beside it,
    could be undone by trying them all. The secret is therefore a file that goes into no run; it is made at random where
    there is none. The same id has the same hash in every run that uses the file.

    Args:
        key_file: Of the secret.

    Raises:
        FusionError: If the file cannot be read or made, or holds no secret.
    """
    key = _read_key(key_file.expanduser())

    def name(kind: str, identifier: str) -> str:
        digest = hmac.new(key, f"{kind}\0{identifier}".encode(), hashlib.sha256)
        return f"{kind}-{digest.hexdigest()[:_N_DIGITS]}"

    return name


def names_of(config: Mapping[str, Any]) -> Naming | None:
    """What a run's report calls patients and cases by: None is their ids, see ``hash_ids`` of ``conf/train.yaml``.

    Raises:
        FusionError: See ``pseudonyms``.
    """
    # A run that was begun before there was such a key has none.
    return pseudonyms(Path(config["id_key"])) if config.get("hash_ids") else None


def _read_key(path: Path) -> bytes:
    try:
        with file_lock(path.with_name(f"{path.name}.lock")):
            if not path.exists():
                _make_key(path)
            key = path.read_bytes().strip()
    except OSError as error:
        raise FusionError(
            f"required a secret to hash patient ids with in {path}, came: {error}; "
            "name a file that can be read or made: id_key=FILE, of a logger logger.<name>.id_key=FILE"
        ) from error
    if len(key) < _N_SHORTEST:
        raise FusionError(
            f"{path}: required a secret of at least {_N_SHORTEST} bytes, came {len(key)}; "
            "delete the file, and a new one is made"
        )
    return key


def _make_key(path: Path) -> None:
    """Readable by its owner alone, from the first moment on."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
        stream.write(secrets.token_hex(_N_SECRET_BYTES))
    temporary.replace(path)
