"""What an offline W&B run holds, read from the file that `wandb sync` sends, by W&B's own definition of its records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HEADER, _BLOCK, _PIECE = 7, 32768, 7
_WHOLE, _LAST = 1, 4


@dataclass
class WandbRun:
    """One run.

    Attributes:
        config: As logged, nested.
        history: Rows, in order.
        summary: Figures of the whole run.
        exit_code: None where the run was never closed.
        artifacts: Type by name.
    """

    folder: Path
    run_id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    project: str = ""
    sweep_id: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    artifacts: dict[str, str] = field(default_factory=dict)

    def column(self, name: str) -> list[Any]:
        """Values of a logged figure, in order."""
        return [row[name] for row in self.history if name in row]

    def table(self, name: str) -> list[dict[str, Any]]:
        """Rows of a logged table."""
        (reference,) = self.column(name)
        content = json.loads((self.folder / "files" / reference["path"]).read_text())
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def read_wandb(run_dir: Path) -> dict[str, WandbRun]:
    """The offline runs below a run folder, by job type; two of the same job type are an error."""
    runs = [_read(path) for path in sorted(run_dir.glob("wandb/offline-run-*/run-*.wandb"))]
    by_job = {run.job_type: run for run in runs}
    assert len(by_job) == len(runs), [(run.job_type, run.run_id) for run in runs]
    return by_job


def _read(path: Path) -> WandbRun:
    from wandb.proto import wandb_internal_pb2

    run = WandbRun(path.parent)
    for content in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        _add(run, record)
    return run


def _add(run: WandbRun, record: Any) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        of = record.run
        run.run_id, run.name, run.group = of.run_id, of.display_name, of.run_group
        run.job_type, run.project, run.sweep_id = of.job_type, of.project, of.sweep_id
        _update(run.config, of.config.update)
    elif kind == "config":
        _update(run.config, record.config.update)
    elif kind == "history":
        row: dict[str, Any] = {}
        _update(row, record.history.item)
        run.history.append(row)
    elif kind == "summary":
        _update(run.summary, record.summary.update)
    elif kind == "exit":
        run.exit_code = record.exit.exit_code
    elif kind == "artifact":
        run.artifacts[record.artifact.name] = record.artifact.type
    elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
        artifact = record.request.log_artifact.artifact
        run.artifacts[artifact.name] = artifact.type


def _update(content: dict[str, Any], items: Any) -> None:
    for item in items:
        *outer, last = [item.key] if item.key else list(item.nested_key)
        target = content
        for key in outer:
            target = target.setdefault(key, {})
        target[last] = json.loads(item.value_json)


def _records(content: bytes) -> Iterator[bytes]:
    """A header, then LevelDB's log format: blocks of 32 KiB, a record in one piece or more."""
    position, record = _HEADER, b""
    while position + _PIECE <= len(content):
        left = _BLOCK - position % _BLOCK
        if left < _PIECE:
            position += left
            continue
        length, kind = int.from_bytes(content[position + 4 : position + 6], "little"), content[position + 6]
        record += content[position + _PIECE : position + _PIECE + length]
        position += _PIECE + length
        if kind in (_WHOLE, _LAST):
            yield record
            record = b""
