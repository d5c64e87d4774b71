"""What a classical model asks of a configuration and a cohort, told before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fusion.classical.classifier import check_classifier
from fusion.classical.filters import check_filters
from fusion.errors import InputError, Problem
from fusion.records import Cohort
from fusion.runs.model import BLOCKS, is_classical

_ADVICE = "See conf/model and conf/selection."


def check_classical(config: Mapping[str, Any]) -> None:
    """Refuse what cannot be fitted; says nothing of the network.

    Raises:
        InputError: With everything that is wrong.
    """
    if not is_classical(config["model"]):
        return
    problems = [*_model_problems(config), *_selection_problems(config["selection"])]
    if problems:
        raise InputError(f"model={config['model'].get('name')}", problems, _ADVICE)
    check_filters(config["selection"]["filters"])
    if config["model"]["combine"] == "classifier":
        check_classifier(config["classifier"])


def check_outcomes(config: Mapping[str, Any], cohort: Cohort) -> None:
    """Refuse a cohort with more than two outcomes.

    Raises:
        InputError: Naming them.
    """
    if is_classical(config["model"]) and len(cohort.label_names) != 2:
        required = "two outcomes, or model=fusion"
        problem = Problem(where="cohort.label.names", required=required, came=", ".join(cohort.label_names))
        raise InputError(f"model={config['model']['name']}", [problem], "Join labels in cohort.label.names.")


def _model_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    model, split = config["model"], config["split"]
    inputs = model["inputs"]
    if not isinstance(inputs, Mapping) or not inputs:
        required = f"a mapping of some of {', '.join(BLOCKS)} to features or score"
        yield Problem(where="model.inputs", required=required, came=repr(inputs))
        return
    for block, enters in inputs.items():
        if block not in BLOCKS:
            yield Problem(where="model.inputs", required=f"some of {', '.join(BLOCKS)}", came=str(block))
        if enters not in ("features", "score"):
            yield Problem(where=f"model.inputs.{block}", required="features or score", came=repr(enters))
    if {"clinical", "ultrasound"} <= set(inputs):
        required = "clinical or ultrasound: the ultrasound findings are among the clinical columns"
        yield Problem(where="model.inputs", required=required, came="both")
    if model["combine"] not in ("classifier", "mean"):
        yield Problem(where="model.combine", required="classifier or mean", came=repr(model["combine"]))
    if model["combine"] == "mean" and (model["select"] or any(value != "score" for value in inputs.values())):
        required = "scores alone and model.select=false for model.combine=mean"
        yield Problem(where="model.inputs", required=required, came=f"{dict(inputs)}, select={model['select']}")
    # Within an inner fold its group is gone, and two are needed for scores that are out of fold.
    least = 3 if "score" in inputs.values() else 2
    if not _is_whole(split["n_inner_folds"], least):
        required = f"from {least}: calibration, thresholds and scores of training patients are out of fold"
        yield Problem(where="split.n_inner_folds", required=required, came=repr(split["n_inner_folds"]))
    if "deep" in inputs and not (
        config["deep"]["n_components"] is None or _is_whole(config["deep"]["n_components"], 1)
    ):
        came = repr(config["deep"]["n_components"])
        yield Problem(where="deep.n_components", required="a whole number from 1, or null", came=came)


def _selection_problems(selection: Mapping[str, Any]) -> Iterator[Problem]:
    checks = (
        ("l1_ratio", "a number above 0, at most 1", lambda value: _is_number(value) and 0 < value <= 1),
        ("lambda", "min or 1se", lambda value: value in ("min", "1se")),
        ("n_lambdas", "a whole number from 2", lambda value: _is_whole(value, 2)),
        ("min_lambda_ratio", "a number between 0 and 1", lambda value: _is_number(value) and 0 < value < 1),
        ("n_folds", "a whole number from 2", lambda value: _is_whole(value, 2)),
        ("n_bootstrap", "a whole number from 0", lambda value: _is_whole(value, 0)),
    )
    for key, required, holds in checks:
        if not holds(selection[key]):
            yield Problem(where=f"selection.{key}", required=required, came=repr(selection[key]))


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
