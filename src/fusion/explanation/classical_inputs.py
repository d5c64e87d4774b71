"""SHAP values of the inputs of a classical model's final stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusion.classical.model import ClassicalModel
from fusion.explanation.coalitions import Floats
from fusion.explanation.shap_values import ShapTable, explain_inputs
from fusion.explanation.tree_values import explain_trees


def explain_classical_inputs(
    model: ClassicalModel, case_ids: Sequence[str], joined: Floats, *, settings: Mapping[str, Any]
) -> ShapTable | None:
    """SHAP values of what the final stage sees: exact from coefficients or trees, else as ``explain_inputs`` can.

    Args:
        model: Fitted.
        case_ids: (N,)
        joined: (N, F) of ``model.join``; NaN where a case lacks a block.
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
        seed=model.fold,
        **settings,
    )
