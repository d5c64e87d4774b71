"""Run folders of a sweep whose models were never trained, and the records of their jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusion.records import Case, Cohort, Fold, Predictions
from fusion.runs.folder import INNER, LAST_OF_FOLD, RunFolder
from fusion.runs.tables import write_predictions
from fusion.storage import write_json
from fusion.sweeps.records import JobRecord, write_record

LABELS = ("benign", "malignant")
N_PATIENTS = 60
CONFIG: dict[str, Any] = {
    "name": "swept",
    "primary": None,
    "seed": 3,
    "l1": 0.001,
    "cohort": {"name": "salivary", "simulation": None},
    "split": {"name": "kfold", "n_inner_folds": 1},
    "model": {"name": "fusion"},
    "evaluation": {"level": 0.95, "n_bootstrap": 200, "threshold": "youden"},
}
IDS = [f"{patient:03d}" for patient in range(N_PATIENTS)]
# Labels of every kind in every part.
TRUTH = np.random.default_rng(5).permutation(np.arange(N_PATIENTS) % 2)


def fold(number: int, n_folds: int) -> Fold:
    """One of some folds, with a test, an inner and a training part."""
    test = frozenset(IDS[number::n_folds]) if n_folds > 1 else frozenset(IDS[::3])
    others = [patient for patient in IDS if patient not in test]
    inner = frozenset(others[::3])
    return Fold(number=number, seed=3, train=frozenset(others) - inner, validation=inner, test=test)


def predictions(strength: float, *, seed: int, n_folds: int = 2) -> Predictions:
    """Every patient in every fold; the larger the strength, the better."""
    rng = np.random.default_rng(seed)
    rows = [(i, of) for of in (fold(number, n_folds) for number in range(n_folds)) for i in range(N_PATIENTS)]
    who = [i for i, _ in rows]
    logits = strength * (2 * TRUTH[who] - 1) + rng.normal(size=len(rows))
    positive = 1 / (1 + np.exp(-logits))
    return Predictions(
        model="written",
        label_names=LABELS,
        case_ids=tuple(IDS[i] for i in who),
        patient_ids=tuple(IDS[i] for i in who),
        centers=("north",) * len(rows),
        parts=tuple(str(of.part_of(IDS[i])) for i, of in rows),
        folds=tuple(of.number for _, of in rows),
        labels=tuple(LABELS[TRUTH[i]] for i in who),
        probabilities=np.stack([1 - positive, positive], axis=1),
    )


def write_run(
    path: Path,
    scored: Predictions,
    *,
    changes: Mapping[str, Any] | None = None,
    is_joined: bool = True,
    finished: Sequence[int] = (0, 1),
) -> Path:
    """A run folder with some finished folds; joined is one that was evaluated."""
    run = RunFolder.begin(path, CONFIG | dict(changes or {}))
    n_folds = len(set(scored.folds))
    cases = tuple(
        Case(case_id=i, patient_id=i, center="north", image=None, mask=None, label=LABELS[t], clinical={})
        for i, t in zip(IDS, TRUTH, strict=True)
    )
    cohort = Cohort(name="salivary", cases=cases, label_names=LABELS, clinical_columns=())
    run.write_split(cohort, [fold(number, n_folds) for number in range(n_folds)])
    for number in finished:
        rows = scored.select(other == number for other in scored.folds)
        inner = rows.select(part == "validation" for part in rows.parts)
        write_json(run.fold(number) / "fold.json", {"thresholds": {"youden": 0.5}, "candidates": {}})
        write_predictions(run.fold(number) / INNER, inner)
        write_predictions(run.fold(number) / LAST_OF_FOLD, rows)
    if is_joined:
        run.join_folds()
        write_predictions(path / "predictions.csv", scored)
        estimate = {"value": 0.8, "ci_low": 0.7, "ci_high": 0.9, "n": N_PATIENTS}
        write_json(path / "metrics.json", {"test": {"auc": estimate, "brier": estimate}})
    return path


def write_job(sweep_dir: Path, number: int, state: str, *overrides: str, **known: Any) -> JobRecord:
    """The record of a job whose run folder is called by its overrides."""
    told = [override for override in overrides if not override.startswith("fold=")]
    of_fold = [override.removeprefix("fold=") for override in overrides if override.startswith("fold=")]
    record = JobRecord(
        number=number,
        overrides=tuple(overrides),
        folder=",".join(told),
        fold=of_fold[0] if of_fold else "all",
        state=state,
        **known,
    )
    write_record(sweep_dir, record)
    return record
