"""The probe of the centers, kept: it is of the cohort, and the same in every run on it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from fusion.evaluation.center_probe import probe_centers
from fusion.evaluation.settings import Settings
from fusion.records import Cohort, FeatureTable
from fusion.storage import array_digest, content_key, kept_json

# Count up when a change of `center_probe` changes figures.
_RECIPE = 2


def probe(cohort: Cohort, features: FeatureTable, *, settings: Settings, cache_dir: Path) -> dict[str, Any] | None:
    """Whether the radiomics features tell the centers apart: ``CenterProbe`` as JSON, computed or found in the cache.

    Args:
        cohort, features: See ``probe_centers``.
        settings: Of the evaluation.
        cache_dir: May be shared with other cohorts, settings and processes.

    Returns:
        None with one center or without features.
    """

    def compute() -> dict[str, Any] | None:
        made = probe_centers(cohort, features, **settings.center_probe, **settings.bootstrap)
        return None if made is None else made.as_json()

    found: dict[str, Any] | None = kept_json(cache_dir / "center_probe", _key(cohort, features, settings), compute)
    return found


def _key(cohort: Cohort, features: FeatureTable, settings: Settings) -> str:
    return content_key(
        {
            "recipe": _RECIPE,
            "scikit-learn": version("scikit-learn"),
            "labels": cohort.label_names,
            "cases": [(case.case_id, case.patient_id, case.center, case.label) for case in cohort.cases],
            "rows": features.case_ids,
            "names": features.names,
            "values": array_digest(features.values),
            "settings": {**settings.center_probe, **settings.bootstrap},
        }
    )
