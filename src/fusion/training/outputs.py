"""What a fitted fold leaves in its folder beside the checkpoint: scores, gates, surviving features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fusion.records import UNLABELED, Case, Fold
from fusion.runs.folder import INNER, LAST_OF_FOLD
from fusion.runs.model import branches_heard
from fusion.runs.tables import branch_column, write_predictions, write_rows
from fusion.storage import write_json
from fusion.training.fitted import Scores
from fusion.training.model import Model
from fusion.training.tuning import TunedFit, trial_rows

_GATE = "gate_"


def write_fold(out_dir: Path, *, tuned: TunedFit, fold: Fold, split_sha256: str) -> None:
    """Write a fold's checkpoint, facts and tables; the case-level predictions come last and mark it as finished.

    Args:
        out_dir: The fold's folder.
        tuned: Its fit, calibrated, with thresholds.
        fold: The division.
        split_sha256: Of the run's ``split.csv``.
    """
    model, cases = tuned.fit.model, tuned.fit.cases
    model.save(out_dir / "model.ckpt", split_sha256=split_sha256)
    write_json(
        out_dir / "fold.json",
        {
            "split_sha256": split_sha256,
            "threshold": model.threshold,
            "thresholds": dict(model.thresholds),
            "calibration": model.calibrator.state(),
            "setting": dict(tuned.setting),
            **model.facts(),
        },
    )
    _write_features(out_dir / "features.csv", model)
    for name, (header, rows) in {**tuned.fit.tables, **model.tables()}.items():
        write_rows(out_dir / name, header, rows)
    # Of a classical model the patients of the validation part are training patients.
    write_branches(out_dir / "branches.csv", model, cases, tuned.fit.scores, tuned.fit.predictions.parts)
    write_predictions(out_dir / INNER, tuned.inner)
    if tuned.trials:
        write_rows(out_dir / "tuning.csv", *trial_rows(fold.number, tuned.trials))
    write_predictions(out_dir / LAST_OF_FOLD, tuned.fit.predictions)


def _write_features(path: Path, model: Model) -> None:
    rows = ((model.fold, name, weight) for name, weight in model.feature_weights())
    write_rows(path, ("fold", "feature", "weight"), rows)


def write_branches(path: Path, model: Model, cases: Sequence[Case], scores: Scores, parts: Sequence[str]) -> None:
    """``branches.csv``: each case's gates and each branch's own probabilities, empty where the branch is absent."""
    names = branches_heard(model.settings["model"])
    opinions = [branch_column(branch, label) for branch in names for label in model.label_names]
    gates = [f"{_GATE}{branch}" for branch in names]
    header = ("case_id", "patient_id", "center", "fold", "part", "label", *gates, *opinions)
    write_rows(path, header, _branch_rows(model, cases, scores, parts))


def _branch_rows(
    model: Model, cases: Sequence[Case], scores: Scores, parts: Sequence[str]
) -> Iterator[tuple[object, ...]]:
    # The columns are those of the configuration, so that folds agree also where one of them could not have a branch.
    names = branches_heard(model.settings["model"])
    columns = [names.index(name) for name in model.heard]
    gates = np.full((len(cases), len(names)), np.nan)
    opinions = np.full((len(cases), len(names), len(model.label_names)), np.nan)
    opinions[:, columns] = scores.opinions
    if scores.gates is not None:
        gates[:, columns] = scores.gates
    for row, case in enumerate(cases):
        numbers = (*gates[row].tolist(), *opinions[row].ravel().tolist())
        blank = ("" if np.isnan(number) else number for number in numbers)
        yield case.case_id, case.patient_id, case.center, model.fold, parts[row], case.label or UNLABELED, *blank
