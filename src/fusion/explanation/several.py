"""Explain what several models say together: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.explanation.write import write_explanations
from fusion.imaging.store import Crops
from fusion.records import Case, FeatureTable
from fusion.runs.folder import OF_EXPLANATIONS
from fusion.runs.tables import concatenate
from fusion.training.model import Model


def explain_several(
    out_dir: Path,
    *,
    models: Sequence[Model],
    cases: Sequence[Case],
    probabilities: NDArray[np.float64],
    crops: Crops,
    features: FeatureTable,
    settings: Mapping[str, Any],
) -> None:
    """Explain every model for itself, and write their tables below each other.

    Shapley values of a mean are the mean of the Shapley values (Shapley 1953, additivity), so that the models' rows of
    a case, averaged, explain what is reported of it. A map of pixels is of one model, which is also what it was tested
    on: each model explains the pixels of other cases, spread over the same range.

    Args:
        out_dir: ``attributions``, for tables and pictures as ``write_explanations`` writes them.
        models: Of the folds, in evaluation mode.
        cases: N of them.
        probabilities: (N,) of the positive label, as reported: the mean over the models.
        crops, features: That hold the cases.
        settings: ``conf/explain``.
    """
    ranking = np.argsort(probabilities, kind="stable")
    with TemporaryDirectory() as place:
        folders = [Path(place) / str(number) for number in range(len(models))]
        for number, (model, folder) in enumerate(zip(models, folders, strict=True)):
            write_explanations(
                folder,
                images_dir=out_dir / "images",
                model=model,
                cases=cases,
                probabilities=probabilities,
                pictured=ranking[number :: len(models)].tolist(),
                crops=crops,
                features=features,
                settings=settings,
            )
        for name in OF_EXPLANATIONS:
            tables = [folder / name for folder in folders if (folder / name).is_file()]
            if tables:
                concatenate(tables, out_dir / name)
