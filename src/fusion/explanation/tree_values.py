"""SHAP values of a final stage made of trees, exact, from the nodes of its trees."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusion.calibration.identity import Identity
from fusion.calibration.platt import Platt
from fusion.classical.classifier import Classifier
from fusion.classical.model import CalibratedOutput
from fusion.explanation.coalitions import Floats
from fusion.explanation.shap_values import ShapTable, Unit, logit

# The trees' sum is the log-odds under these arguments alone; other losses and boosters make something else of it.
_BOOSTED: Mapping[str, Mapping[str, tuple[str | None, ...]]] = {
    "sklearn.GradientBoostingClassifier": {"loss": ("log_loss",)},
    "xgboost.XGBClassifier": {"booster": (None, "gbtree"), "objective": (None, "binary:logistic")},
    "lightgbm.LGBMClassifier": {"boosting_type": ("gbdt",), "objective": (None, "binary")},
}
# The trees' mean is the probability.
_AVERAGED = ("sklearn.RandomForestClassifier", "sklearn.ExtraTreesClassifier")


def explain_trees(
    output: CalibratedOutput, *, names: Sequence[str], background: Floats, rows: Floats, case_ids: Sequence[str]
) -> ShapTable | None:
    """Interventional SHAP values of every row, against all of the background.

    Lundberg et al., Nat Mach Intell 2020;2:56-67, as the shap package has it.

    Boosted trees add up to log-odds, which a Platt calibration only stretches and shifts, so their values are exact in
    log-odds. Forests average probabilities, which any calibration or shift of the prevalence bends: theirs are exact in
    probability where there is neither.

    Args:
        output: Final stage and calibration.
        names: (F,) of the inputs.
        background: (B, F) training rows; an input that is left out takes their values.
        rows: (N, F) to explain.
        case_ids: (N,)

    Returns:
        None where the final stage is not made of such trees, or what comes after them bends the sum.
    """
    found = _unit_and_slope(output)
    if found is None:
        return None
    with warnings.catch_warnings():
        # Its plots, which nobody asked for, use what matplotlib is about to drop.
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning)
        # Takes seconds to import.
        from shap import TreeExplainer
    unit, slope = found
    assert isinstance(output.final, Classifier)
    assert output.final.fitted is not None
    fitted = output.final.fitted
    explainer = TreeExplainer(
        fitted.estimator, fitted.standardize(background), feature_perturbation="interventional", model_output="raw"
    )
    values = np.asarray(explainer.shap_values(fitted.standardize(rows), check_additivity=False), dtype=np.float64)
    # Forests have values of both labels.
    values = slope * (values[..., 1] if values.ndim == 3 else values)
    as_unit = logit if unit == "logit" else np.asarray
    base = as_unit(output.probabilities(background)).mean()
    return ShapTable(
        case_ids=tuple(case_ids),
        names=tuple(names),
        values=values,
        completeness_error=np.abs(values.sum(axis=1) + base - as_unit(output.probabilities(rows))),
        unit=unit,
        method="trees",
        standard_error=np.zeros_like(values),
    )


def _unit_and_slope(output: CalibratedOutput) -> tuple[Unit, float] | None:
    """The unit in which the output is a multiple of the trees' sum plus a constant, and the multiple."""
    final, calibrator = output.final, output.calibrator
    if not isinstance(final, Classifier) or final.fitted is None:
        return None
    kind = _kind(final.estimator)
    unshifted = bool(np.isclose(final.fitted.fitted_prevalence, final.fitted.prevalence, rtol=1e-9))
    if kind in _AVERAGED and unshifted and isinstance(calibrator, Identity):
        return "probability", 1.0
    if kind in _BOOSTED and _has(final.estimator, _BOOSTED[kind]):
        if isinstance(calibrator, Identity):
            return "logit", 1.0
        if isinstance(calibrator, Platt):
            return "logit", calibrator.slopes[0]
    return None


def _kind(estimator: object) -> str:
    return f"{type(estimator).__module__.partition('.')[0]}.{type(estimator).__name__}"


def _has(estimator: Any, arguments: Mapping[str, tuple[str | None, ...]]) -> bool:
    given = estimator.get_params()
    return all(given[name] in allowed for name, allowed in arguments.items())
