"""A run's report with other names for its patients."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote

from fusion.report.html import write_report
from fusion.runs.tables import read_rows, write_rows
from fusion.tracking.pseudonyms import Naming

# Columns of ids, with their kind.
_IDS = {"patient_id": "patient", "case_id": "case"}
_FACTS = ("config.yaml", "manifest.json", "metrics.json", "fold_*/fold.json")
_TABLES = ("*.csv", "attributions/*.csv")
_IMAGES = "attributions/images/*.png"


@contextmanager
def hidden_report(run_dir: Path, naming: Naming) -> Iterator[Path]:
    """``report.html`` of a copy of the run's tables in which ids have other names; it is gone after the block.

    Args:
        run_dir: Of a finished run.
        naming: Of patients and cases.
    """
    with TemporaryDirectory() as place:
        copy = Path(place) / run_dir.name
        for source in (path for pattern in _FACTS for path in run_dir.glob(pattern)):
            _copy(source, copy / source.relative_to(run_dir))
        for source in (path for pattern in _TABLES for path in run_dir.glob(pattern)):
            _rename_in_table(source, copy / source.relative_to(run_dir), naming)
        for source in run_dir.glob(_IMAGES):
            name = quote(naming("case", unquote(source.stem)), safe=" ")
            _copy(source, copy / source.relative_to(run_dir).with_name(f"{name}.png"))
        yield write_report(copy)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _rename_in_table(source: Path, target: Path, naming: Naming) -> None:
    header, rows = read_rows(source)
    columns = [(column, _IDS[name]) for column, name in enumerate(header) if name in _IDS]
    for row in rows:
        for column, kind in columns:
            row[column] = naming(kind, row[column])
    write_rows(target, header, rows)
