"""What a fold keeps of where its training images lie, so that other images can be compared with them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError
from fusion.explanation.training_distance import TrainingDistance
from fusion.imaging.store import Crops
from fusion.records import Case, FeatureTable, Fold
from fusion.runs.model import is_classical
from fusion.storage import atomic_path
from fusion.training.model import Model

REFERENCES = "references.npz"
_SEPARATOR = "/"
_FEWEST = 10


def write_references(
    path: Path,
    model: Model,
    cases: Sequence[Case],
    *,
    fold: Fold,
    crops: Crops,
    features: FeatureTable,
    accelerator: str,
) -> None:
    """Write a ``TrainingDistance`` for each branch that sees the image; no row of a patient is kept.

    A branch of which the fold has fewer than ten training cases has none.

    Args:
        path: Of the file.
        model: Of the fold.
        cases: Of the cohort; of those of the test part nothing is read.
        fold: Whose validation part is the reference of a network. A classical model was fitted to it, too.
        crops, features: That hold the cases.
        accelerator: What embeds the images.
    """
    learned = fold.train | fold.validation if is_classical(model.settings["model"]) else fold.train
    seen = [case for case in cases if case.patient_id in fold.train | fold.validation]
    rows = model.image_rows(seen, crops=crops, features=features, accelerator=accelerator)
    is_training = np.array([case.patient_id in learned for case in seen])
    arrays: dict[str, NDArray[np.float32]] = {}
    for branch, values in rows.items():
        known = ~np.isnan(values).any(axis=1)
        training = known & is_training
        if training.sum() >= _FEWEST:
            patients = [seen[row].patient_id for row in np.flatnonzero(training)]
            found = TrainingDistance.fit(values[training], patients=patients, held_out=values[known & ~is_training])
            arrays |= {f"{branch}{_SEPARATOR}{name}": array for name, array in found.arrays().items()}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_references(path: Path) -> dict[str, TrainingDistance]:
    """By branch; empty where the run is of a version that kept none.

    Raises:
        FusionError: If the file is not what ``write_references`` writes.
    """
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            branches = dict.fromkeys(name.partition(_SEPARATOR)[0] for name in stored.files)
            return {branch: TrainingDistance.from_arrays(_of_branch(stored, branch)) for branch in branches}
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise FusionError(f"{path}: required a file that train.py wrote, came an unreadable one: {error}") from error


def _of_branch(stored: Mapping[str, Any], branch: str) -> dict[str, NDArray[np.float32]]:
    start = f"{branch}{_SEPARATOR}"
    return {name.removeprefix(start): stored[name] for name in stored if name.startswith(start)}
