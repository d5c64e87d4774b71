"""What the columns and the ranking beside the test figures are: inner and published AUC, and the strongest inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNITS = {"logit": "log-odds", "probability": "probability"}
_METHODS = {"shap": "SHAP value", "integrated_gradients": "integrated gradient"}
_HOW = {
    ("shap", "final stage"): (
        "SHAP values of the final stage’s inputs against training patients (Lundberg & Lee, NeurIPS 2017)."
    ),
    ("shap", "tabular branches"): (
        "SHAP values of the radiomics and clinical inputs against training patients (Lundberg & Lee, NeurIPS 2017), "
        "every patient’s image being what it is: what the image itself moved is not in it."
    ),
    ("integrated_gradients", "tabular branches"): (
        "Integrated gradients of the tabular inputs (Sundararajan et al., ICML 2017); what the pixels of the image "
        "moved is not in it."
    ),
}


def inner_note(comparison: Mapping[str, Any]) -> str | None:
    """What the inner column is; None where no model has an inner figure."""
    inner = [model["inner"] for model in comparison["models"] if model["inner"]]
    if not inner:
        return None
    counts = sorted({of_model["n_patients"] for of_model in inner})
    picked = "one of the ranked models" if comparison["not_ranked_by_inner"] else "a model"
    may = f", so {picked} may be picked by it" if comparison["best_by_inner"] is not None else ""
    too_high = (
        " Where a model has no inner folds (split.n_inner_folds=1), their loss also chose the epoch, so that it is too "
        "high."
    )
    return (
        f"Inner AUC: of {_range(counts)} training patients, each predicted by a model that was not fitted to them; "
        f"mean of the folds. The test patients take no part in it{may}."
        f"{too_high if any(of_model['n_inner_folds'] == 1 for of_model in inner) else ''}"
    )


def not_ranked_note(comparison: Mapping[str, Any]) -> str | None:
    """Which models' inner AUCs are not ranked, and why; None where all are, and where there is no inner column."""
    by_reason: dict[str, list[str]] = {}
    for of_model in comparison["not_ranked_by_inner"]:
        by_reason.setdefault(of_model["why"], []).append(of_model["model"])
    if not by_reason or inner_note(comparison) is None:
        return None
    listed = "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())
    return f"Not ranked by inner AUC, which is of another kind. {listed}."


def published_note(comparison: Mapping[str, Any]) -> str | None:
    """What the published column is, with its papers; None where there is no such column."""
    sources = dict.fromkeys(model["published"]["source"] for model in comparison["models"] if model["published"])
    if not sources:
        return None
    return (
        f"Published: the test AUC that the paper reports for its model of this kind ({'; '.join(sources)}). It is of "
        "other patients and other data: no target, not comparable with ours, and in no test or difference."
    )


def _range(counts: list[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def input_unit(inputs: Mapping[str, Any]) -> str:
    """What the strength of an input is."""
    return f"Mean absolute {_METHODS[inputs['method']]} ({_UNITS[inputs['unit']]})"


def input_caption(inputs: Mapping[str, Any]) -> str:
    """What the ranking of inputs is, and what it is not."""
    shown, n_inputs, n_folds = len(inputs["ranking"]), inputs["n_inputs"], inputs["n_folds"]
    which = f"the strongest {shown} of {n_inputs} inputs" if shown < n_inputs else "every input"
    cases = f"{inputs['n_cases']} test cases"
    folds = f" of {n_folds} folds, 0 in a fold whose model does not have the input" if n_folds > 1 else ""
    n_empty = inputs["n_folds_without_input"]
    without = (
        f" In {n_empty} further {'fold' if n_empty == 1 else 'folds'} nothing was selected: the final stage has no "
        "input there, and those cases are not in the mean."
        if n_empty
        else ""
    )
    how = _HOW[inputs["method"], inputs["inputs_of"]]
    return (
        f"{inputs['model']}, {which}: the mean over {cases}{folds}.{without} {how} They leave at most "
        f"{inputs['completeness_error']:.2g} of an output unexplained. A longer bar moved the output more, up or "
        "down; it does not say why."
    )
