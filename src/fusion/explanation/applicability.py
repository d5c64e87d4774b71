"""Whether models may be applied to a cohort: what it lacks, and how far its images lie from those of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.explanation.references import REFERENCES, read_references
from fusion.explanation.training_distance import TrainingDistance
from fusion.imaging.store import Crops
from fusion.records import Case, Cohort, FeatureTable
from fusion.runs.folder import RunFolder
from fusion.runs.tables import write_rows
from fusion.storage import write_json
from fusion.training.applying import missing_inputs, seen_in_training
from fusion.training.model import Model

APPLICABILITY, DISTANCES = "applicability.json", "distances.csv"
# Of the reference, the share that lies nearer than what is called far.
FAR = 0.95
_HEADER = ("case_id", "patient_id", "center", "fold", "branch", "distance", "percentile")


@dataclass(frozen=True, kw_only=True)
class Distances:
    """Of the cases that have a branch, from the training cases of one model.

    Attributes:
        fold: Of the model.
        branch: That sees the image.
        cases: N of them.
        distances: (N,) Mahalanobis distances.
        percentiles: (N,) share of the reference that lies nearer.
        n_reference: Cases of the training cohort that they are compared with.
        expected_far: Share that would be far if they were of the same kind: 0.05 but for few cases to compare with.
    """

    fold: int
    branch: str
    cases: tuple[Case, ...]
    distances: NDArray[np.float64]
    percentiles: NDArray[np.float64]
    n_reference: int
    expected_far: float


def write_applicability(
    out_dir: Path,
    *,
    run: RunFolder,
    models: Sequence[Model],
    cohort: Cohort,
    crops: Crops,
    features: FeatureTable,
    accelerator: str,
) -> dict[str, Any]:
    """Write ``applicability.json``, and ``distances.csv`` where the run kept what distances are measured from.

    Args:
        out_dir: Of the files.
        run: That is applied.
        models: Of its finished folds.
        cohort: That they are applied to, with their labels.
        crops, features: Of the cohort.
        accelerator: What embeds the images.

    Returns:
        The content of ``applicability.json``: see ``missing_inputs``; ``distances``, see ``summarize_distances``; and
        ``n_seen``, patients of the run's training.
    """
    found = measure_distances(
        models,
        [read_references(path.with_name(REFERENCES)) for path in run.models],
        cohort.cases,
        crops=crops,
        features=features,
        accelerator=accelerator,
    )
    if found:
        write_rows(out_dir / DISTANCES, _HEADER, _rows(found))
    content = {
        **missing_inputs(models, cohort, crops=crops, features=features),
        "distances": summarize_distances(found),
        "n_seen": seen_in_training(run, cohort),
    }
    write_json(out_dir / APPLICABILITY, content)
    return content


def applicability_notes(content: Mapping[str, Any]) -> list[str]:
    """``applicability.json`` in sentences."""
    absent, n_cases = content["columns"]["absent"], content["n_cases"]
    notes = [f"clinical columns of training that the cohort does not have: {', '.join(absent)}"] if absent else []
    notes += [
        f"{n_absent} of {n_cases} cases are scored without the {branch} branch"
        for branch, n_absent in content["branches"].items()
        if n_absent
    ]
    notes += [_distance_note(branch, figures) for branch, figures in content["distances"].items()]
    if content["n_seen"]:
        notes.append(
            f"{counted_patients(content['n_seen'])} in the training of at least one fold: figures of them say nothing "
            "about new patients"
        )
    return notes


def counted_patients(n: int) -> str:
    """``1 patient was``, ``2 patients were``."""
    return f"{n} patient was" if n == 1 else f"{n} patients were"


def _distance_note(branch: str, figures: Mapping[str, Any]) -> str:
    what = {"image": "images", "radiomics": "lesions (radiomics features)"}[branch]
    return (
        f"{figures['share_far']:.0%} of {figures['n']} {what} lie further from those of training than 95% of the "
        f"training cohort's own; {figures['expected_far']:.0%} would be expected of one kind"
    )


def measure_distances(
    models: Sequence[Model],
    references: Sequence[Mapping[str, TrainingDistance]],
    cases: Sequence[Case],
    *,
    crops: Crops,
    features: FeatureTable,
    accelerator: str,
) -> list[Distances]:
    """By model and branch that kept a reference; a branch that no case has is not among them."""
    found = []
    for model, kept in zip(models, references, strict=True):
        rows = model.image_rows(cases, crops=crops, features=features, accelerator=accelerator) if kept else {}
        for branch, reference in kept.items():
            known = np.flatnonzero(~np.isnan(rows[branch]).any(axis=1))
            if len(known):
                distances = reference.gaussian.distances(rows[branch][known])
                found.append(
                    Distances(
                        fold=model.fold,
                        branch=branch,
                        cases=tuple(cases[row] for row in known.tolist()),
                        distances=distances,
                        percentiles=reference.percentiles(distances),
                        n_reference=len(reference.reference),
                        expected_far=reference.expected_share(FAR),
                    )
                )
    return found


def _rows(found: Sequence[Distances]) -> Iterator[tuple[object, ...]]:
    for each in found:
        numbers = zip(each.cases, each.distances.tolist(), each.percentiles.tolist(), strict=True)
        for case, distance, percentile in numbers:
            yield case.case_id, case.patient_id, case.center, each.fold, each.branch, distance, percentile


def summarize_distances(found: Sequence[Distances]) -> dict[str, dict[str, Any]]:
    """By branch, over cases and models.

    Returns:
        ``n`` cases; ``n_reference``, compared with by all models; ``mean_percentile``, 0 to 1: the probability that a
        case lies further from the training cases than an unseen one of the training cohort, 0.5 where both are of one
        kind; ``share_far``, of the cases that lie further than 95 % of those, and ``expected_far``, what that would be
        where both are of one kind; and ``centers``, the same by center.
    """
    branches = dict.fromkeys(each.branch for each in found)
    return {branch: _summary([each for each in found if each.branch == branch]) for branch in branches}


def _summary(of_branch: Sequence[Distances]) -> dict[str, Any]:
    # Not of the mean over the models, which is seldom extreme: it would look nearer than it is.
    rows = [pair for each in of_branch for pair in zip(each.cases, each.percentiles.tolist(), strict=True)]
    centers: dict[str, list[tuple[Case, float]]] = {}
    for case, percentile in rows:
        centers.setdefault(case.center, []).append((case, percentile))
    return {
        **_figures(rows),
        "n_reference": sum(each.n_reference for each in of_branch),
        "expected_far": float(np.mean([each.expected_far for each in of_branch])),
        "centers": {center: _figures(own) for center, own in sorted(centers.items())},
    }


def _figures(rows: Sequence[tuple[Case, float]]) -> dict[str, Any]:
    values = np.array([percentile for _, percentile in rows])
    return {
        "n": len({case.case_id for case, _ in rows}),
        "mean_percentile": float(values.mean()),
        "share_far": float((values > FAR).mean()),
    }
