"""The tables of the page: which figures stand in which row and column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fusion.report.inner import chosen, listed, n_inner_folds
from fusion.report.metric_names import in_order, metric_name
from fusion.report.run_folder import FinishedRun

_N_COLUMNS = 4  # beside each other on a printed page
_PARTS = {
    "test": "Test",
    "test_cases": "Test, by image",
    "validation": "Inner part",
    "train": "Training (check for overfitting only)",
}
_READERS = {"reader": "Reader", "model": "Model", "model_and_reader": "Model and reader"}

_LOWER = {
    "lr_negative": "negative likelihood ratio",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "ici": "integrated calibration index",
}

Figures = Mapping[str, Mapping[str, Any]]


class Column(NamedTuple):
    """Figures below each other.

    Attributes:
        key: Of metrics.json.
        title: Above it.
        figures: By metric.
        facts: Rows of words above the figures.
        n: Patients, where that is one number.
    """

    key: str
    title: str
    figures: Figures
    facts: Mapping[str, str]
    n: int | None


class Table(NamedTuple):
    """Columns that fit beside each other, and their rows: facts, then metrics with their names."""

    columns: Sequence[Column]
    facts: Sequence[str]
    metrics: Sequence[tuple[str, str]]


def part_tables(run: FinishedRun) -> list[Table]:
    """Every figure of the test part, with those of the other parts beside it."""
    chose = _chosen_on_inner_part(run)
    titles = _PARTS | ({"validation": f"{_PARTS['validation']} (chose {listed(chose)})"} if chose else {})
    found = [_column(part, title, run.metrics[part]) for part, title in titles.items() if run.metrics.get(part)]
    return _tables(run, found, is_pooled=run.n_folds > 1)


def center_tables(run: FinishedRun) -> list[Table]:
    """Every figure of every center."""
    centers: Mapping[str, Figures] = run.metrics.get("centers") or {}
    return _tables(run, [_column(center, center, figures) for center, figures in centers.items()], is_pooled=False)


def operating_point_tables(run: FinishedRun) -> list[Table]:
    """Every frozen operating point, its rule and its thresholds, the primary one first."""
    points: Mapping[str, Any] = run.metrics.get("operating_points") or {}
    columns = []
    for name in sorted(points, key=lambda name: name != run.primary_point):
        point = points[name]
        facts = {
            "Rule, on inner predictions": rule_text(point["rule"]),
            "Threshold": threshold_text(point["thresholds"]),
        }
        title = f"{name} (primary)" if name == run.primary_point else name
        columns.append(Column(name, title, point["figures"], facts, None))
    return _tables(run, columns, is_pooled=False)


def reader_tables(run: FinishedRun) -> list[Table]:
    """The reader, the model, and the two together on the same patients."""
    readers = run.metrics.get("readers") or {}
    names = _READERS | {"reader": f"Reader ({readers.get('name')})"}
    found = [Column(key, title, readers[key], {}, readers["n"]) for key, title in names.items() if readers.get(key)]
    return _tables(run, found, is_pooled=False)


def direction_text(tables: Sequence[Table]) -> str:
    """Which direction is good, and for which of the figures it is the other one."""
    shown = dict.fromkeys(key for table in tables for key, _ in table.metrics)
    lower = [_LOWER[key] for key in shown if key in _LOWER]
    return f"Higher is better{', except for the ' + ' and the '.join(lower) if lower else ''}."


def reader_name(key: str) -> str:
    """``model_and_reader`` in words."""
    return _READERS.get(key, key)


def alone_caption(run: FinishedRun) -> str:
    """Above the figures of each branch, or score, alone: whether they are of the model's test patients."""
    counts = {name: figures["auc"]["n"] for name, figures in run.metrics["branches"].items() if figures}
    n = run.metrics["test"]["auc"]["n"]
    if run.is_classical:
        what = "Each block’s score alone" if len(counts) > 1 else "The score alone"
    else:
        what = "Each branch’s own head, alone" if run.is_fused else "The branch’s own head"
    beside = f"{what}, beside the {'fused model' if run.is_fused and not run.is_classical else 'model'}"
    fewer = [f"{of_it} have {name}" for name, of_it in counts.items() if of_it != n]
    if not fewer:
        return f"{beside}; the same {n} test patients."
    return (
        f"{beside}. Of the {n} test patients {listed(fewer)}, and the figures alone are of those: figures of different "
        "patients cannot be compared."
    )


def rule_text(rule: Mapping[str, Any]) -> str:
    """How a threshold was chosen."""
    name = rule["rule"]
    if name == "youden":
        return "largest sensitivity + specificity"
    if name in ("sensitivity", "specificity"):
        return f"{name} of at least {100 * rule['at_least']:g}\N{NO-BREAK SPACE}%"
    if name == "cost":
        return f"least cost: {rule['false_negative']:g} a missed case, {rule['false_positive']:g} a false alarm"
    return ", ".join(f"{key} {value}" for key, value in rule.items())


def threshold_text(thresholds: Mapping[str, float | None]) -> str:
    """The threshold, or the range of the folds' thresholds."""
    values = [value for value in thresholds.values() if value is not None]
    if not values:
        return "none"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{min(values):.3f} to {max(values):.3f} ({len(values)} folds)"


def _chosen_on_inner_part(run: FinishedRun) -> list[str]:
    also = [what.removeprefix("the ") for what in chosen(run)] if n_inner_folds(run) == 1 else []
    return [*(["epoch"] if run.has_epochs else []), *also]


def _column(key: str, title: str, figures: Figures) -> Column:
    n = figures["auc"]["n"] if "auc" in figures else None
    return Column(key, title, figures, {"Patients": "" if n is None else f"{n}"}, n)


def _tables(run: FinishedRun, columns: Sequence[Column], *, is_pooled: bool) -> list[Table]:
    groups = [columns[start : start + _N_COLUMNS] for start in range(0, len(columns), _N_COLUMNS)]
    names = run.patients.label_names
    tables = []
    for group in groups:
        found = dict.fromkeys(key for column in group for key in column.figures)
        keys = in_order(found, label_names=names)
        metrics = [
            (key, metric_name(key, label_names=names, is_pooled=is_pooled, prevalence=run.prevalence)) for key in keys
        ]
        tables.append(Table(group, list(group[0].facts), metrics))
    return tables
