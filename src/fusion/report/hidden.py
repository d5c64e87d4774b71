"""A run with other names for its patients."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote

from fusion.runs.pseudonyms import Naming
from fusion.runs.tables import read_rows, write_rows
from fusion.storage import read_yaml, write_yaml

# Columns of ids, with their kind.
_IDS = {"patient_id": "patient", "case_id": "case"}
_CONFIG = "config.yaml"
# They hold counts and settings, and name nobody.
_FACTS = (
    *("study.yaml", "manifest.json", "metrics.json", "fold_*/fold.json"),
    *("table_one.json", "patient_flow.json", "applicability.json"),
)
_TABLES = ("*.csv", "attributions/*.csv")
# Named after their case.
_IMAGES = ("attributions/images/*.png", "attributions/thumbnails/*.webp", "attributions/thumbnails/overlays/*.webp")


@contextmanager
def hidden_copy(run_dir: Path, naming: Naming) -> Iterator[Path]:
    """A copy of what a report is made from, in which ids have other names; it is gone after the block.

    Tables, names of pictures: whatever reads the copy can name nobody, however much of it there comes to be.

    Args:
        run_dir: Of a finished run.
        naming: Of patients and cases.
    """
    with TemporaryDirectory() as place:
        copy = Path(place) / run_dir.name
        _rename_in_config(run_dir / _CONFIG, copy / _CONFIG, naming)
        for source in _matches(run_dir, _FACTS):
            _copy(source, copy / source.relative_to(run_dir))
        for source in _matches(run_dir, _TABLES):
            _rename_in_table(source, copy / source.relative_to(run_dir), naming)
        for source in _matches(run_dir, _IMAGES):
            name = quote(naming("case", unquote(source.stem)), safe=" ")
            _copy(source, copy / source.relative_to(run_dir).with_name(f"{name}{source.suffix}"))
        yield copy


def _matches(run_dir: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in run_dir.glob(pattern)]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _rename_in_config(source: Path, target: Path, naming: Naming) -> None:
    """Rows may be excluded by their ids."""
    config = read_yaml(source.read_text(encoding="utf-8"))
    cohort = config["cohort"]
    for kind, key in (("case", "key"), ("patient", "patient")):
        column = cohort.get(key)
        if words := (cohort.get("exclude") or {}).get(column):
            cohort["exclude"][column] = [naming(kind, str(word)) for word in words]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(write_yaml(config), encoding="utf-8")


def _rename_in_table(source: Path, target: Path, naming: Naming) -> None:
    header, rows = read_rows(source)
    columns = [(column, _IDS[name]) for column, name in enumerate(header) if name in _IDS]
    for row in rows:
        for column, kind in columns:
            row[column] = naming(kind, row[column])
    write_rows(target, header, rows)
