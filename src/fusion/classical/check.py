"""What a classical model asks of a configuration and a cohort, told before any work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fusion.classical.classifier import check_classifier
from fusion.classical.filters import check_filters
from fusion.classical.lasso import check_lasso
from fusion.classical.selected import LASSO_SETTINGS
from fusion.errors import InputError, Problem
from fusion.records import Cohort
from fusion.runs.model import BLOCKS, is_classical

_MODEL_KEYS = {"name", "inputs", "select", "combine"}
_ADVICE = "See conf/model and conf/selection."


def check_classical(config: Mapping[str, Any]) -> None:
    """Refuse what cannot be fitted; says nothing of the network.

    Raises:
        InputError: With everything that is wrong.
    """
    if not is_classical(config["model"]):
        return
    selection = config["selection"]
    rule = {"rule" if name == "lambda" else name: selection[name] for name in LASSO_SETTINGS}
    problems = [
        *_model_problems(config),
        *_bootstrap_problems(selection),
        *_told(check_filters, selection["filters"]),
        *_told(check_lasso, **rule),
    ]
    if config["model"]["combine"] == "classifier":
        problems += _told(check_classifier, config.get("classifier") or {})
    elif config["model"]["combine"] == "mean" and config.get("classifier"):
        came = f"classifier={config['classifier'].get('name')}"
        problems.append(Problem(where="classifier", required="none: a weighted mean has no classifier", came=came))
    if problems:
        raise InputError(f"model={config['model'].get('name')}", problems, _ADVICE)


def _told(check: Callable[..., None], *args: Any, **kwargs: Any) -> tuple[Problem, ...]:
    """What a check complains of."""
    try:
        check(*args, **kwargs)
    except InputError as error:
        return tuple(error.problems)
    return ()


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
    for key in set(model) - _MODEL_KEYS:
        required = f"one of {', '.join(sorted(_MODEL_KEYS))}: {model['name']} is a classical model"
        yield Problem(where=f"model.{key}", required=required, came=key)
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


def _bootstrap_problems(selection: Mapping[str, Any]) -> Iterator[Problem]:
    if not _is_whole(selection["n_bootstrap"], 0):
        came = repr(selection["n_bootstrap"])
        yield Problem(where="selection.n_bootstrap", required="a whole number from 0", came=came)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
