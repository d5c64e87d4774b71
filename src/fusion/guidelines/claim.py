"""What a run says of itself: sentences, each with the file that shows it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fusion.storage import read_yaml


class Evidence(NamedTuple):
    """A place in a run folder.

    Attributes:
        file: Relative to the run folder, e.g. ``metrics.json``; or a folder in it that holds something.
        key: A key in it (``test.auc``), or a column of a table; None where the file as a whole is meant.
    """

    file: str
    key: str | None

    def __str__(self) -> str:
        return self.file if self.key is None else f"{self.file}: {self.key}"


class Claim(NamedTuple):
    """A sentence and what shows it; without all of that it is not said.

    Attributes:
        text: As it is printed.
        evidence: At least one place.
    """

    text: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What a run says to a question that guidelines ask.

    Attributes:
        claims: In the order in which they are read; none where the run recorded nothing of it.
        met: Whether the run does what a score asks for; None where that cannot be told from the run, or is not asked.
    """

    claims: tuple[Claim, ...]
    met: bool | None


class Places:
    """Looks up evidence in a run folder; a file is read once."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._read: dict[str, Any] = {}

    def hold(self, evidence: Evidence) -> bool:
        """Whether the file is there and, where a key is named, has it."""
        path = self._run_dir / evidence.file
        if path.is_dir():
            return evidence.key is None and any(path.iterdir())
        if not path.is_file():
            return False
        if evidence.key is None:
            return path.stat().st_size > 0
        if evidence.file not in self._read:
            self._read[evidence.file] = _content(path)
        return _has(self._read[evidence.file], evidence.key.split("."), is_table=path.suffix == ".csv")


def in_config(*keys: str) -> tuple[Evidence, ...]:
    """Keys of ``config.yaml``."""
    return tuple(Evidence("config.yaml", key) for key in keys)


def in_metrics(*keys: str) -> tuple[Evidence, ...]:
    """Keys of ``metrics.json``."""
    return tuple(Evidence("metrics.json", key) for key in keys)


def in_manifest(*keys: str) -> tuple[Evidence, ...]:
    """Keys of ``manifest.json``."""
    return tuple(Evidence("manifest.json", key) for key in keys)


def fact(*claims: Claim | None, met: bool | None = None) -> Fact:
    """A fact of those of the claims that there are."""
    return Fact(claims=tuple(claim for claim in claims if claim is not None), met=met)


def _content(path: Path) -> Any:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as stream:
            return next(csv.reader(stream), [])
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else read_yaml(text)


def _has(content: Any, keys: list[str], *, is_table: bool) -> bool:
    if is_table:
        return ".".join(keys) in content
    for key in keys:
        if not isinstance(content, Mapping) or key not in content:
            return False
        content = content[key]
    return True
