"""What lies in the cohort's folder and table and is not used."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fusion.audit.finding import Finding, counted, listed
from fusion.cohorts.mapping import PathTemplate, TableMapping
from fusion.cohorts.sheet import Row
from fusion.cohorts.values import normalized
from fusion.records import Cohort

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm", ".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
_NAME = re.compile(r"[^\s&;,|\"']+")


def excluded_rows(mapping: TableMapping, rows: Sequence[Row]) -> list[Finding]:
    """A finding per word that leaves rows out."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        for column, words in mapping.exclude.items():
            if (word := normalized(row.cell(column))) in words:
                found[column, word].append(row)
    return [
        Finding(
            kind="excluded_rows",
            severity="note",
            where=column,
            found=f"{counted(len(out), 'row')} with {word!r} left out by cohort.exclude: {mapping.key} "
            + listed(tuple(row.cell(mapping.key) for row in out)),
            why="They are in no figure; a paper has to name them.",
            advice="Nothing, if that is meant.",
            cases=tuple(row.cell(mapping.key) for row in out),
            figures={"n": len(out), "column": column, "word": word},
        )
        for (column, word), out in found.items()
    ]


def unused_files(
    cohort: Cohort, mapping: TableMapping, rows: Sequence[Row], *, root: Path, excluded: Sequence[Row]
) -> list[Finding]:
    """Image and mask files below the root that no case uses: those that another column names, and orphans."""
    used = {path for case in cohort.cases for path in (case.image, case.mask, case.second_mask) if path is not None}
    used |= {root / filled for row in excluded for filled in _paths(mapping, row)}
    unused = [path for path in _files(root) if path not in used]
    named = _naming_cells(rows, {path.name for path in unused}, mapping.key)
    by_column: dict[str, list[Path]] = defaultdict(list)
    for path in unused:
        by_column[named[path.name][0] if path.name in named else ""].append(path)
    findings = []
    for column, paths in sorted(by_column.items()):
        keys = tuple(dict.fromkeys(named[path.name][1] for path in paths)) if column else ()
        findings.append(_unused(column, [str(path.relative_to(root)) for path in paths], keys))
    return findings


def _unused(column: str, paths: Sequence[str], keys: tuple[str, ...]) -> Finding:
    by_folder = Counter(str(Path(path).parent) for path in paths)
    files, shown = counted(len(paths), "file"), listed(tuple(paths), 4)
    orphans = f"{files} that the table does not name: {shown}"
    named = f"{files} named there, in {counted(len(keys), 'row')}, and not used: {shown}"
    return Finding(
        kind="unused_files",
        severity="note",
        where=column or "files",
        found=named if column else orphans,
        why="Further masks or images of these cases are in no figure."
        if column
        else "Patients may be missing in the table.",
        advice="Nothing, if that is meant; else name the column in the mapping."
        if column
        else "Complete the table, or delete them.",
        cases=keys,
        figures={"n": len(paths), "by_folder": dict(by_folder)},
        details=tuple({"file": path} for path in paths),
    )


def _paths(mapping: TableMapping, row: Row) -> Iterator[str]:
    templates: tuple[PathTemplate | None, ...] = (mapping.image, mapping.mask, mapping.second_mask)
    for template in templates:
        if template is not None and all(row.cell(column) for column in template.columns):
            yield template.fill({column: row.cell(column) for column in template.columns})


def _files(root: Path) -> list[Path]:
    """Pictures below the root, hidden ones left out, in order."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.name.lower().endswith(_SUFFIXES)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def _naming_cells(rows: Sequence[Row], names: set[str], key: str) -> Mapping[str, tuple[str, str]]:
    """(column, key of the row) of the cell that names a file."""
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        for column, text in row.cells.items():
            for word in _NAME.findall(text):
                if (name := word.rpartition("/")[2]) in names:
                    found.setdefault(name, (column, row.cell(key)))
    return found
