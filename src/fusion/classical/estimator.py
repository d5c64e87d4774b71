"""From a file of conf/classifier to an estimator: any class that follows scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from fusion.classical.imbalance import IMBALANCE
from fusion.errors import InputError, Problem

_KEYS = ("name", "estimator", "grid", "imbalance")


def check_classifier(classifier: Mapping[str, Any]) -> None:
    """Refuse a classifier that cannot be made, before any work. What the data are too few for shows when it is fitted.

    Args:
        classifier: As in ``conf/classifier``: name, estimator (``_target_`` and its arguments), grid (argument → list
            of values, the most regularized first; ``a__b`` is argument b of the nested estimator a) and imbalance.

    Raises:
        InputError: With all problems.
    """
    problems = list(_problems(classifier))
    if problems:
        raise InputError(
            f"classifier={classifier.get('name')}",
            problems,
            "Mend its file in conf/classifier, or values on the command line; conf/classifier/lr.yaml is an example.",
        )


def make_estimator(classifier: Mapping[str, Any], *, seed: int) -> Any:
    """The unfitted estimator of a checked classifier, every ``random_state`` in it set to the seed."""
    estimator = _build(classifier["estimator"])
    names = [name for name in estimator.get_params() if name.split("__")[-1] == "random_state"]
    return estimator.set_params(**dict.fromkeys(names, seed))


def takes_weights(estimator: Any) -> bool:
    """Whether its ``fit`` takes a ``sample_weight``."""
    from sklearn.utils.validation import has_fit_parameter

    return bool(has_fit_parameter(estimator, "sample_weight"))


def gives_probabilities(estimator: Any) -> bool:
    """Whether it has ``predict_proba``; if not, it has decision values alone."""
    return hasattr(estimator, "predict_proba")


def _problems(classifier: Mapping[str, Any]) -> Iterator[Problem]:
    for key in _KEYS:
        if key not in classifier:
            yield Problem(where=key, required="a value", came="none")
    for key in sorted(set(classifier) - {*_KEYS}):
        yield Problem(where=key, required=f"one of the keys {', '.join(_KEYS)}", came=repr(key))
    if classifier.get("imbalance", "none") not in IMBALANCE:
        came = repr(classifier["imbalance"])
        yield Problem(where="imbalance", required=f"one of {', '.join(IMBALANCE)}", came=came)
    yield from _grid_problems(classifier.get("grid", {}))
    if "estimator" in classifier:
        yield from _estimator_problems(classifier)


def _grid_problems(grid: Any) -> Iterator[Problem]:
    if not isinstance(grid, Mapping):
        yield Problem(where="grid", required="a mapping of arguments to lists, {} for none", came=repr(grid))
        return
    for key, values in grid.items():
        if not isinstance(values, list | tuple) or not values:
            yield Problem(where=f"grid.{key}", required="a list of one or more values", came=repr(values))


def _estimator_problems(classifier: Mapping[str, Any]) -> Iterator[Problem]:
    where, target = "estimator", _target(classifier["estimator"])
    if target is None:
        yield Problem(
            where=where, required="a mapping with _target_: package.module.Class", came=repr(classifier["estimator"])
        )
        return
    try:
        kind = _locate(target)
        if not isinstance(kind, type) or not all(hasattr(kind, name) for name in ("fit", "get_params", "set_params")):
            yield Problem(
                where=f"{where}._target_", required="a class with fit, get_params and set_params", came=target
            )
            return
        estimator = _build(classifier["estimator"])
    except ImportError as error:
        advice = "a class of an installed package (install it, or mend the name)"
        yield Problem(where=f"{where}._target_", required=advice, came=f"{target} ({error})")
    except (TypeError, ValueError) as error:
        yield Problem(where=where, required=f"arguments of {target}", came=str(error))
    else:
        yield from _fitness_problems(classifier, estimator, target)


def _fitness_problems(classifier: Mapping[str, Any], estimator: Any, target: str) -> Iterator[Problem]:
    if not gives_probabilities(estimator) and not hasattr(estimator, "decision_function"):
        came = f"{target}, which has neither predict_proba nor decision_function"
        yield Problem(where="estimator._target_", required="a classifier", came=came)
    if classifier.get("imbalance") == "weights" and not takes_weights(estimator):
        came = f"weights for {target}, whose fit takes no sample_weight"
        yield Problem(where="imbalance", required="none or smote", came=came)
    grid = classifier.get("grid", {})
    parameters = estimator.get_params()
    for key in grid if isinstance(grid, Mapping) else ():
        if key not in parameters:
            yield Problem(where=f"grid.{key}", required=f"an argument of {target}: {', '.join(parameters)}", came=key)


def _target(node: Any) -> str | None:
    target = node.get("_target_") if isinstance(node, Mapping) else None
    return target if isinstance(target, str) and "." in target else None


def _locate(target: str) -> Any:
    module, _, name = target.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except AttributeError as error:
        raise ImportError(f"{module} has no {name}") from error


def _build(node: Any) -> Any:
    """The node, with each mapping that has a ``_target_`` replaced by what that gives: estimators may be nested."""
    if isinstance(node, Mapping):
        values = {key: _build(value) for key, value in node.items() if key != "_target_"}
        return _locate(node["_target_"])(**values) if "_target_" in node else values
    if isinstance(node, list | tuple):
        return [_build(value) for value in node]
    return node
