"""What is known of each job of a sweep: a file for each, and ``sweep.csv`` over all, both as the jobs run."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from fusion.storage import atomic_path, content_key, file_lock, write_json

# Where Fusion keeps what is not for people.
_JOBS = ".jobs"
# Of ``sweep.csv``.
TABLE = "sweep.csv"
# A job in one of these has come to its end, and is not done again by the same command.
ENDED_WELL = ("finished", "pruned")


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One job of a sweep.

    Attributes:
        number: In the order of the sweep, from 0.
        overrides: As the sweeper gave them.
        folder: The run folder, relative to the sweep's.
        fold: That the job fits, or ``all``; jobs of one folder are parts of one run.
        state: ``waiting``, ``running``, ``finished``, ``failed``, ``killed`` (by a signal), ``interrupted`` (the sweep
            itself was ended while it ran) or ``pruned``.
        inner_score: Mean AUC of inner predictions over the run's finished folds; higher is better.
        seconds: That the job took.
        overhead: Seconds of them that no fold took: start, data, evaluation, report.
        error: Last line of what went wrong.
    """

    number: int
    overrides: tuple[str, ...]
    folder: str
    fold: str
    state: str
    inner_score: float | None = None
    seconds: float | None = None
    overhead: float | None = None
    error: str = ""

    @property
    def key(self) -> str:
        """The same for the same overrides, in any order."""
        return content_key(sorted(self.overrides))[:16]

    @property
    def name(self) -> str:
        """The overrides, as people read them."""
        return " ".join(self.overrides)


def read_records(sweep_dir: Path) -> list[JobRecord]:
    """Of every job that the sweep's folder knows, in the order of their numbers."""
    # A name that begins with a dot is of a file that is being written.
    paths = [path for path in (sweep_dir / _JOBS).glob("*.json") if not path.name.startswith(".")]
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    records = [JobRecord(**content | {"overrides": tuple(content["overrides"])}) for content in contents]
    return sorted(records, key=lambda record: record.number)


def read_record(sweep_dir: Path, key: str) -> JobRecord | None:
    """Of one job; None where the folder knows nothing of it."""
    return next((record for record in read_records(sweep_dir) if record.key == key), None)


def write_record(sweep_dir: Path, record: JobRecord) -> None:
    """Keep what is known of a job, and write ``sweep.csv`` anew; several processes may do so at once."""
    with file_lock(sweep_dir / _JOBS / "table.lock"):
        write_json(sweep_dir / _JOBS / f"{record.key}.json", asdict(record))
        _write_table(sweep_dir / TABLE, read_records(sweep_dir))


def sweep_of(run_dir: Path) -> str | None:
    """Name of the sweep that a run is a job of; None where there is none."""
    return next((parent.name for parent in run_dir.absolute().parents if (parent / _JOBS).is_dir()), None)


def job_lock(sweep_dir: Path, key: str, *, wait: bool) -> AbstractContextManager[bool]:
    """Hold a job, so that no other process does it at the same time: see ``file_lock``."""
    return file_lock(sweep_dir / _JOBS / f"{key}.lock", wait=wait)


def _write_table(path: Path, records: Sequence[JobRecord]) -> None:
    names = [field.name for field in fields(JobRecord)]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) | {"overrides": record.name} for record in records)
