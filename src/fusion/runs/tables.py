"""Tables of a run folder as CSV, floats with every digit."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from fusion.errors import FusionError
from fusion.records import Predictions
from fusion.storage import atomic_path

_PROBABILITY = "prob_"


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table."""
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    return header, rows


def concatenate(paths: Sequence[Path], target: Path) -> None:
    """Write tables below each other.

    Raises:
        FusionError: If they do not have the same columns in the same order.
    """
    tables = [read_rows(path) for path in paths]
    header = tables[0][0]
    for path, (other, _) in zip(paths, tables, strict=True):
        if other != header:
            raise FusionError(
                f"{path}: required the columns of {paths[0]}, {', '.join(header)}, came {', '.join(other)}; "
                "the folds are of different runs. Start a new run"
            )
    write_rows(target, header, (row for _, rows in tables for row in rows))


def write_predictions(path: Path, predictions: Predictions) -> None:
    """One row a patient (or case) and fold: ids, center, fold, part, label and a ``prob_<label>`` column per label."""
    ids = ("patient_id",) if predictions.case_ids is None else ("case_id", "patient_id")
    probabilities = [f"{_PROBABILITY}{name}" for name in predictions.label_names]
    columns = [] if predictions.case_ids is None else [predictions.case_ids]
    columns += [predictions.patient_ids, predictions.centers]
    write_rows(
        path,
        (*ids, "center", "fold", "part", "label", *probabilities),
        zip(
            *columns,
            predictions.folds,
            predictions.parts,
            predictions.labels,
            *predictions.probabilities.T.tolist(),
            strict=True,
        ),
    )


def read_predictions(path: Path, *, model: str) -> Predictions:
    """Read what ``write_predictions`` wrote."""
    header, rows = read_rows(path)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
    label_names = tuple(name.removeprefix(_PROBABILITY) for name in header if name.startswith(_PROBABILITY))
    probabilities = [[float(value) for value in columns[f"{_PROBABILITY}{name}"]] for name in label_names]
    return Predictions(
        model=model,
        label_names=label_names,
        case_ids=columns.get("case_id"),
        patient_ids=columns["patient_id"],
        centers=columns["center"],
        folds=tuple(int(fold) for fold in columns["fold"]),
        parts=columns["part"],
        labels=columns["label"],
        probabilities=np.array(probabilities, dtype=np.float64).T,
    )


def branch_column(branch: str, label: str) -> str:
    """Name of the column of ``branches.csv`` that holds a branch's own probability of a label."""
    return f"{branch}_{_PROBABILITY}{label}"


def read_branch_predictions(path: Path, branch: str, label_names: Sequence[str]) -> Predictions:
    """One branch alone, as ``Predictions`` of the cases of ``branches.csv`` that have it."""
    header, rows = read_rows(path)
    position = {name: i for i, name in enumerate(header)}
    columns = [position[branch_column(branch, label)] for label in label_names]
    known = [row for row in rows if row[columns[0]]]

    def column(name: str) -> tuple[str, ...]:
        return tuple(row[position[name]] for row in known)

    return Predictions(
        model=branch,
        label_names=tuple(label_names),
        case_ids=column("case_id"),
        patient_ids=column("patient_id"),
        centers=column("center"),
        folds=tuple(int(fold) for fold in column("fold")),
        parts=column("part"),
        labels=column("label"),
        probabilities=np.array([[float(row[i]) for i in columns] for row in known]).reshape(-1, len(columns)),
    )
