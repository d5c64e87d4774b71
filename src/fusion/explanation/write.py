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
from fusion.explanation.classical_inputs import explain_classical_inputs, with_given
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
    pictured: Sequence[int],
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
        probabilities: (N,) of the positive label, as reported: by the model, or by several together.
        pictured: Rows of the cases whose pixels may be explained.
        crops, features: That hold the cases.
        settings: ``conf/explain``.
    """
    if settings["name"] == "none":
        return
    if isinstance(model, ClassicalModel):
        sources = Sources(crops=crops, features=features, accelerator="cpu")
        _explain_classical(out_dir, model, cases, probabilities, sources, settings)
    elif isinstance(model, FittedModel):
        rows = [pictured[place] for place in spread_cases(probabilities[list(pictured)], settings["n_cases"])]
        picked = [cases[row] for row in rows]
        if picked:
            _explain_pixels(out_dir, images_dir, model, picked, probabilities[rows], crops, features, settings)
        inputs = model.assemble(cases, crops=crops, features=features)
        write_branch_values(out_dir / "shapley.csv", explain_network_branches(model, inputs), model.fold)
        table = explain_network_inputs(
            model, cases, probabilities=probabilities, crops=crops, features=features, settings=settings["network"]
        )
        if table is not None:
            write_inputs(out_dir / "inputs.csv", table, model.fold)


def _explain_classical(
    out_dir: Path,
    model: ClassicalModel,
    cases: Sequence[Case],
    probabilities: NDArray[np.float64],
    sources: Sources,
    settings: Mapping[str, Any],
) -> None:
    joined, case_ids = model.join(cases, sources), [case.case_id for case in cases]
    write_branch_values(out_dir / "shapley.csv", explain_classical_branches(model, case_ids, joined), model.fold)
    table = explain_classical_inputs(model, case_ids, joined, probabilities=probabilities, settings=settings["inputs"])
    if table is not None:
        told = with_given(table, model, cases, joined, features=sources.features)
        write_inputs(out_dir / "inputs.csv", told, model.fold)


def _explain_pixels(
    out_dir: Path,
    images_dir: Path,
    model: FittedModel,
    picked: Sequence[Case],
    probabilities: NDArray[np.float64],
    crops: Crops,
    features: FeatureTable,
    settings: Mapping[str, Any],
) -> None:
    pixels = settings["pixels"]
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
        own = model.score_cases(found.cases, crops=crops, features=features, accelerator="cpu").probabilities[:, -1]
        captions = [
            _caption(case, positive=model.label_names[-1], reported=reported, own=alone, fold=model.fold)
            for case, reported, alone in zip(found.cases, probabilities[list(found.rows)], own, strict=True)
        ]
        write_pixels(out_dir, images_dir, found, captions=captions, crops=crops)


def _caption(case: Case, *, positive: str, reported: float, own: float, fold: int) -> str:
    outcome = "Outcome unknown" if case.label is None else f"Outcome {case.label}"
    caption = f"{outcome}, probability of {positive} {reported:.2f}"
    if f"{own:.2f}" == f"{reported:.2f}":
        return caption
    # Several models were averaged, of which one is explained.
    return f"{caption}; by the model of fold {fold}, which is explained, {own:.2f}"


def _rows(attribution: Attribution, fold: int) -> Iterator[tuple[object, ...]]:
    for case_id, values, error in zip(
        attribution.case_ids, attribution.values.tolist(), attribution.completeness_error.tolist(), strict=True
    ):
        for name, value in zip(attribution.names, values, strict=True):
            if value != 0:
                yield case_id, fold, name, value, error
