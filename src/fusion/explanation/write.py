"""Explain some cases of a fold and write the attributions into the run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from fusion.classical.model import ClassicalModel
from fusion.classical.rows import Sources
from fusion.explanation.integrated_gradients import Explanation, explain, spread_cases
from fusion.explanation.network_inputs import explain_network_inputs
from fusion.explanation.overlay import write_overlay
from fusion.explanation.shap_values import explain_inputs, write_inputs
from fusion.imaging.store import Crops
from fusion.records import Attribution, Case, FeatureTable
from fusion.runs.tables import write_rows
from fusion.training.fitted import FittedModel
from fusion.training.model import Model

_HEADER = ("case_id", "fold", "name", "value", "completeness_error")


def write_explanations(
    out_dir: Path,
    *,
    images_dir: Path,
    model: Model,
    cases: Sequence[Case],
    probabilities: NDArray[np.float64],
    crops: Crops,
    features: FeatureTable,
    settings: Mapping[str, Any],
) -> None:
    """Write what moved a model's predictions.

    Of the network, integrated gradients of some of the cases: ``radiomics.csv``, ``clinical.csv`` and a picture
    ``<case_id>.png``. SHAP values of the network's tabular inputs, or of the inputs of a classical model's final stage:
    ``inputs.csv``.

    Args:
        out_dir: Folder of the tables.
        images_dir: Folder of the pictures.
        model: Fitted.
        cases: N cases to choose from.
        probabilities: (N,) of the positive label.
        crops, features: That hold the cases.
        settings: ``conf/explain``.
    """
    if settings["name"] == "none":
        return
    if isinstance(model, ClassicalModel):
        _explain_inputs(out_dir, model, cases, Sources(crops=crops, features=features, accelerator="cpu"), settings)
    elif isinstance(model, FittedModel):
        _explain_branches(out_dir, images_dir, model, cases, probabilities, crops, features, settings)
        table = explain_network_inputs(
            model, cases, probabilities=probabilities, crops=crops, features=features, settings=settings["network"]
        )
        if table is not None:
            write_inputs(out_dir / "inputs.csv", table, model.fold)


def _explain_inputs(
    out_dir: Path, model: ClassicalModel, cases: Sequence[Case], sources: Sources, settings: Mapping[str, Any]
) -> None:
    if not model.final_names:
        return
    rows = model.final_rows(model.join(cases, sources))
    # A weighted mean does without a missing score, and then there is no value of it that could have moved anything.
    complete = np.flatnonzero(~np.isnan(rows).any(axis=1))
    table = explain_inputs(
        model.output,
        names=model.final_names,
        owners=np.arange(len(model.final_names)),
        background=model.background,
        rows=rows[complete],
        case_ids=[cases[row].case_id for row in complete.tolist()],
        seed=model.fold,
        **settings["inputs"],
    )
    write_inputs(out_dir / "inputs.csv", table, model.fold)


def _explain_branches(
    out_dir: Path,
    images_dir: Path,
    model: FittedModel,
    cases: Sequence[Case],
    probabilities: NDArray[np.float64],
    crops: Crops,
    features: FeatureTable,
    settings: Mapping[str, Any],
) -> None:
    picks = spread_cases(probabilities, settings["n_cases"])
    picked = [cases[row] for row in picks]
    explanation = explain(model, model.assemble(picked, crops=crops, features=features), n_steps=settings["n_steps"])
    for attribution in (explanation.radiomics, explanation.clinical):
        if attribution.names:
            write_rows(out_dir / f"{attribution.branch}.csv", _HEADER, _rows(attribution, model.fold))
    _write_images(images_dir, picked, probabilities[picks], model, explanation, crops)


def _rows(attribution: Attribution, fold: int) -> Iterator[tuple[object, ...]]:
    for case_id, values, error in zip(
        attribution.case_ids, attribution.values.tolist(), attribution.completeness_error.tolist(), strict=True
    ):
        for name, value in zip(attribution.names, values, strict=True):
            if value != 0:
                yield case_id, fold, name, value, error


def _write_images(
    out_dir: Path,
    cases: Sequence[Case],
    probabilities: NDArray[np.float64],
    model: FittedModel,
    explanation: Explanation,
    crops: Crops,
) -> None:
    if "image" not in model.network.names:
        return
    for case, probability, pixels in zip(cases, probabilities.tolist(), explanation.pixels, strict=True):
        if case.case_id not in crops:
            continue
        image, mask = crops.array[crops.index(case.case_id)]
        truth = "outcome unknown" if case.label is None else f"outcome {case.label}"
        caption = f"{case.case_id}: {truth}, probability of {model.label_names[-1]} {probability:.2f}"
        # An id may hold what a file name may not.
        path = out_dir / f"{quote(case.case_id, safe=' ')}.png"
        write_overlay(path, image=np.array(image), mask=np.array(mask), pixels=pixels, caption=caption)
