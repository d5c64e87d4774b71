"""What the columns and the ranking beside the test figures are: inner and published AUC, and the strongest inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNITS = {"logit": "log-odds", "probability": "probability"}
_METHODS = {"shap": "SHAP value", "integrated_gradients": "integrated gradient"}
_HOW = {
    "shap": "SHAP values of the final stage’s inputs against training patients (Lundberg & Lee, NeurIPS 2017).",
    "integrated_gradients": (
        "Integrated gradients of the tabular inputs (Sundararajan et al., ICML 2017); what the pixels of the image "
        "moved is not in it."
    ),
}


def inner_note(comparison: Mapping[str, Any]) -> str | None:
    """What the inner column is; None where no model has an inner figure."""
    counts = sorted({model["inner"]["n_patients"] for model in comparison["models"] if model["inner"]})
    if not counts:
        return None
    several = (
        f" It is of {counts[0]} to {counts[-1]} patients: a model with inner folds predicts all training patients, one "
        "without only those that stopped its training."
    )
    return (
        "Inner AUC: of training patients, each predicted by a model that was not fitted to them; mean of the folds. "
        f"The test patients take no part in it, so a model may be picked by it.{several if len(counts) > 1 else ''}"
    )


def published_note(comparison: Mapping[str, Any]) -> str | None:
    """What the published column is, with its papers; None where there is no such column."""
    sources = dict.fromkeys(model["published"]["source"] for model in comparison["models"] if model["published"])
    if not sources:
        return None
    return (
        f"Published: the test AUC that the paper reports for its model of this kind ({'; '.join(sources)}). It is of "
        "other patients and other data: no target, not comparable with ours, and in no test or difference."
    )


def input_unit(inputs: Mapping[str, Any]) -> str:
    """What the strength of an input is."""
    return f"Mean absolute {_METHODS[inputs['method']]} ({_UNITS[inputs['unit']]})"


def input_caption(inputs: Mapping[str, Any]) -> str:
    """What the ranking of inputs is, and what it is not."""
    shown, n_inputs, n_folds = len(inputs["ranking"]), inputs["n_inputs"], inputs["n_folds"]
    which = f"the strongest {shown} of {n_inputs} inputs" if shown < n_inputs else "every input"
    cases = f"{inputs['n_cases']} test cases"
    folds = f" of {n_folds} folds, 0 in a fold whose model does not have the input" if n_folds > 1 else ""
    return (
        f"{inputs['model']}, {which}: the mean over {cases}{folds}. {_HOW[inputs['method']]} They leave at most "
        f"{inputs['completeness_error']:.2g} of an output unexplained. A longer bar moved the output more, up or down; "
        "it does not say why."
    )
