"""Table 1, kept: it is of the cohort and its division, and the same in every run on them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fusion.evaluation.table_one import table_one
from fusion.records import Case, Cohort, Fold
from fusion.storage import content_key, kept_json

# Count up when a change of `table_one` changes figures.
_RECIPE = 1


def kept_table_one(cohort: Cohort, folds: Sequence[Fold], *, seed: int, cache_dir: Path) -> dict[str, Any]:
    """``table_one``, computed or found in the cache.

    Args:
        cohort, folds, seed: See ``table_one``.
        cache_dir: May be shared with other cohorts and processes.
    """
    key = content_key(
        {
            "recipe": _RECIPE,
            "scipy": version("scipy"),
            "labels": cohort.label_names,
            "columns": [(column.name, column.kind, column.unit, column.levels) for column in cohort.clinical_columns],
            "reader": (cohort.reader_column, cohort.reader_levels),
            "cases": [_plain(case) for case in cohort.cases],
            "folds": [[sorted(part) for part in (fold.train | fold.validation, fold.test)] for fold in folds],
            "seed": seed,
        }
    )
    found: dict[str, Any] = kept_json(cache_dir / "table_one", key, lambda: table_one(cohort, folds, seed=seed))
    return found


def _plain(case: Case) -> list[Any]:
    clinical = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in case.clinical.items()}
    return [case.case_id, case.patient_id, case.center, case.label, case.reader_score, clinical]
