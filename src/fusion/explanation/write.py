"""Explain some cases of a fold and write the attributions into the run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.classical.model import ClassicalModel
from fusion.classical.rows import Sources
from fusion.explanation.branch_shapley import explain_classical_branches, explain_network_branches
from fusion.explanation.branch_table import write_branch_values
from fusion.explanation.classical_inputs import explain_classical_inputs
from fusion.explanation.integrated_gradients import explain_within, spread_cases
from fusion.explanation.network_inputs import explain_network_inputs
from fusion.explanation.pixel_tables import write_pixels
from fusion.explanation.pixels import explain_pixels
from fusion.explanation.shap_values import write_inputs
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

    Of every model, Shapley values of its branches, ``shapley.csv``, and SHAP values of the network's tabular inputs, or
    of the inputs of a classical model's final stage, ``inputs.csv``. Of the network, for some of the cases, integrated
    gradients of its features and columns, ``radiomics.csv`` and ``clinical.csv``, and explanations of the pixels with
    what they were tested by: ``pixels.csv``, ``pixel_checks.csv`` and a picture ``<case_id>.png``.

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
        _explain_classical(out_dir, model, cases, Sources(crops=crops, features=features, accelerator="cpu"), settings)
    elif isinstance(model, FittedModel):
        _explain_branches(out_dir, images_dir, model, cases, probabilities, crops, features, settings)
        inputs = model.assemble(cases, crops=crops, features=features)
        write_branch_values(out_dir / "shapley.csv", explain_network_branches(model, inputs), model.fold)
        table = explain_network_inputs(
            model, cases, probabilities=probabilities, crops=crops, features=features, settings=settings["network"]
        )
        if table is not None:
            write_inputs(out_dir / "inputs.csv", table, model.fold)


def _explain_classical(
    out_dir: Path, model: ClassicalModel, cases: Sequence[Case], sources: Sources, settings: Mapping[str, Any]
) -> None:
    joined, case_ids = model.join(cases, sources), [case.case_id for case in cases]
    write_branch_values(out_dir / "shapley.csv", explain_classical_branches(model, case_ids, joined), model.fold)
    table = explain_classical_inputs(model, case_ids, joined, settings=settings["inputs"])
    if table is not None:
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
    picks, pixels = spread_cases(probabilities, settings["n_cases"]), settings["pixels"]
    picked = [cases[row] for row in picks]
    explanation = explain_within(
        model,
        model.assemble(picked, crops=crops, features=features),
        n_steps=settings["n_steps"],
        most_steps=pixels["most_steps"],
        tolerance=pixels["bars"]["completeness_error"],
        smallest_difference=pixels["smallest_difference"],
    )
    for attribution in (explanation.radiomics, explanation.clinical):
        if attribution.names:
            write_rows(out_dir / f"{attribution.branch}.csv", _HEADER, _rows(attribution, model.fold))
    found = explain_pixels(model, picked, gradients=explanation, crops=crops, features=features, settings=pixels)
    if found is not None:
        shown = probabilities[picks][list(found.rows)]
        write_pixels(out_dir, images_dir, found, probabilities=shown, label_names=model.label_names, crops=crops)


def _rows(attribution: Attribution, fold: int) -> Iterator[tuple[object, ...]]:
    for case_id, values, error in zip(
        attribution.case_ids, attribution.values.tolist(), attribution.completeness_error.tolist(), strict=True
    ):
        for name, value in zip(attribution.names, values, strict=True):
            if value != 0:
                yield case_id, fold, name, value, error
