"""SHAP values of the inputs of a classical model's final stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fusion.classical.blocks import ClinicalBlock, RadiomicsBlock
from fusion.classical.columns import Columns, Score
from fusion.classical.model import ClassicalModel
from fusion.explanation.coalitions import Floats
from fusion.explanation.given_values import Given, Scale, Texts, beside, read_encoded, read_features, read_numbers
from fusion.explanation.shap_values import ShapTable, explain_inputs
from fusion.explanation.tree_values import explain_trees
from fusion.records import Case, FeatureTable


def explain_classical_inputs(
    model: ClassicalModel,
    case_ids: Sequence[str],
    joined: Floats,
    *,
    probabilities: Floats,
    settings: Mapping[str, Any],
) -> ShapTable | None:
    """SHAP values of what the final stage sees: exact from coefficients or trees, else as ``explain_inputs`` can.

    Args:
        model: Fitted.
        case_ids: (N,)
        joined: (N, F) of ``model.join``; NaN where a case lacks a block.
        probabilities: (N,) of the positive label, as reported: those that are sampled are spread over them.
        settings: ``inputs`` of ``conf/explain``: ``n_cases``, ``n_background`` and ``max_evaluations``, as of
            ``explain_inputs``.

    Returns:
        The values; None where the final stage has no input.
    """
    names = model.final_names
    if not names:
        return None
    rows = model.final_rows(joined)
    # A weighted mean does without a missing score, and then there is no value of it that could have moved anything.
    complete = np.flatnonzero(~np.isnan(rows).any(axis=1))
    rows, ids = rows[complete], [case_ids[row] for row in complete.tolist()]
    exact = explain_trees(model.output, names=names, background=model.background, rows=rows, case_ids=ids)
    if exact is not None:
        return exact
    return explain_inputs(
        model.output,
        names=names,
        owners=np.arange(len(names)),
        background=model.background,
        rows=rows,
        case_ids=ids,
        ranking=probabilities[complete],
        seed=model.fold,
        **settings,
    )


def with_given(
    table: ShapTable, model: ClassicalModel, cases: Sequence[Case], joined: Floats, *, features: FeatureTable
) -> ShapTable:
    """The table, with what its cases had of the inputs.

    Args:
        table: Of ``explain_classical_inputs``.
        model: That it explains.
        cases: N, those of the table among them.
        joined: (N, F) of ``model.join``.
        features: The radiomics table.
    """
    place = {case.case_id: row for row, case in enumerate(cases)}
    rows = [place[case_id] for case_id in table.case_ids]
    picked, blocks, start = [cases[row] for row in rows], [], 0
    for entry in model.entries.values():
        end = start + len(entry.names)
        blocks.append(_given(entry, picked, joined[rows, start:end], features))
        start = end
    given = beside(blocks, len(picked))
    scales = tuple(given.scales[column] for column in model.chosen.tolist())
    return replace(table, given=Given(given.texts[:, model.chosen], scales))


def _given(entry: Columns, cases: Sequence[Case], columns: Floats, features: FeatureTable) -> tuple[Scale, Texts]:
    if isinstance(entry, Score):
        return "logit", read_numbers(columns)
    if isinstance(entry.block, ClinicalBlock):
        return "table", read_encoded(entry.block.encoder.columns, cases)
    if isinstance(entry.block, RadiomicsBlock):
        return "extracted", read_features(entry.names, features, cases)
    return "standardized", read_numbers(columns)
