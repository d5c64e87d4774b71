"""How many patients a regression with as many candidate predictors would need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import log_expit, logit
from scipy.stats import norm

# Riley et al. ask for a shrinkage of at least that, and for at most that much optimism and error of the overall risk.
_SHRINKAGE = 0.9
_OPTIMISM = 0.05
_RISK_ERROR = 0.05
_Z = 1.96
# Of the integral over a normal distribution (Gauss-Hermite).
_N_NODES = 100


def sample_size(
    n_by_label: Mapping[str, int], *, n_parameters: int, share_of_max_r2: float, c_statistic: float | None
) -> dict[str, Any]:
    """Patients of the training part against the minimum of Riley et al. (BMJ 2020;368:m441).

    This is what an unpenalized logistic regression on all candidate predictors would need so that what it learns is
    not mostly noise. A penalized network is no such regression and has far more weights; the figure is the yardstick
    all the same: selection and penalties learn from the same few patients, penalties chosen on few patients are
    themselves uncertain (Riley et al., J Clin Epidemiol 2021;132:88-96), and flexible models need more patients than
    a regression, not fewer (van der Ploeg et al., BMC Med Res Methodol 2014;14:137). The image branch's weights are
    not counted.

    Args:
        n_by_label: Label → training patients, the positive label last.
        n_parameters: Candidate predictors before any selection: radiomics features and clinical inputs, an input per
            level of a category. 0 where the image is the only input: then only the overall risk asks for patients.
        share_of_max_r2: Of the largest Cox-Snell R², expected of the model; 0.15 is advised where nothing is known.
        c_statistic: Expected of the model, in (0.5, 1), from an earlier study; None to use ``share_of_max_r2``.

    Returns:
        ``n_train``; ``n_events``, patients of the rarest label; ``n_parameters``; ``events_per_parameter``, None
        without parameters; ``required_by``: patients by criterion, ``shrinkage``, ``optimism`` and ``overall_risk``;
        ``required_n``, the largest of them; ``warning``, a sentence where the training part is smaller, else None.
        The criteria are for two labels: with more, or with a label missing, ``required_n`` is None, ``required_by``
        empty and ``warning`` says why.
    """
    n_train, n_events = sum(n_by_label.values()), min(n_by_label.values())
    result: dict[str, Any] = {
        "n_train": n_train,
        "n_events": n_events,
        "n_parameters": n_parameters,
        "events_per_parameter": n_events / n_parameters if n_parameters else None,
        "required_n": None,
        "required_by": {},
    }
    if len(n_by_label) > 2:
        why = "The minimum sample size is worked out for two labels only; with more it is larger for the same inputs."
        return result | {"warning": why}
    if n_events == 0:
        return result | {"warning": "No minimum sample size: a label has no patient in the training part."}
    prevalence = n_events / n_train
    r2 = share_of_max_r2 * max_cox_snell(prevalence)
    if c_statistic is not None:
        r2 = cox_snell_of_c_statistic(c_statistic, prevalence)
    required_by = riley_minimum(prevalence, n_parameters=n_parameters, cox_snell=r2)
    result |= {"required_n": max(required_by.values()), "required_by": required_by}
    return result | {"warning": _warning(result, rarest=min(n_by_label, key=lambda label: n_by_label[label]))}


def riley_minimum(prevalence: float, *, n_parameters: int, cox_snell: float) -> dict[str, int]:
    """Patients by criterion for a binary outcome (Riley et al., Stat Med 2019;38:1276-1296).

    ``shrinkage``: a uniform shrinkage factor S of at least 0.9, n = P / ((S - 1) ln(1 - R² / S)). ``optimism``: at
    most 0.05 between apparent and adjusted Nagelkerke R², the same n with S = R² / (R² + 0.05 max R²).
    ``overall_risk``: a 95 % interval of at most ± 0.05 around the overall risk φ, n = (1.96 / 0.05)² φ (1 - φ).

    Args:
        prevalence: Share of the outcome, φ, in (0, 1).
        n_parameters: Candidate predictors, P.
        cox_snell: Expected R² (Cox & Snell's, adjusted for optimism), above 0 and at most ``max_cox_snell``.

    Raises:
        ValueError: For an R² out of range.
    """
    largest = max_cox_snell(prevalence)
    if not 0 < cox_snell <= largest:
        raise ValueError(
            f"Cox-Snell R²: required above 0 and at most {largest:.3g} at this prevalence, came {cox_snell}"
        )
    reliable = cox_snell / (cox_snell + _OPTIMISM * largest)
    return {
        "shrinkage": _patients_for_shrinkage(_SHRINKAGE, n_parameters, cox_snell),
        "optimism": _patients_for_shrinkage(reliable, n_parameters, cox_snell),
        "overall_risk": math.ceil((_Z / _RISK_ERROR) ** 2 * prevalence * (1 - prevalence)),
    }


def max_cox_snell(prevalence: float) -> float:
    """The Cox-Snell R² of a perfect model, 1 - (φ^φ (1 - φ)^(1 - φ))²; at most 0.75."""
    return 1 - math.exp(2 * _null_log_likelihood(prevalence))


def cox_snell_of_c_statistic(c_statistic: float, prevalence: float) -> float:
    """The R² that goes with a C statistic (Riley et al., Stat Med 2021;40:859-864), higher is better.

    The linear predictor is taken for normal with the same variance in both labels and means √2 Φ⁻¹(C) apart. There the
    log odds are linear in it, so the log-likelihood of the paper's large simulated sample is an integral.

    Args:
        c_statistic: In (0.5, 1).
        prevalence: In (0, 1).

    Raises:
        ValueError: For a C statistic out of range.
    """
    if not 0.5 < c_statistic < 1:
        raise ValueError(f"C statistic: required above 0.5 and below 1, came {c_statistic}")
    shift = math.sqrt(2) * float(norm.ppf(c_statistic))
    nodes, weights = np.polynomial.hermite_e.hermegauss(_N_NODES)
    weights = weights / weights.sum()
    base = float(logit(prevalence)) - shift**2 / 2
    # Of a patient with the outcome, whose predictor is higher by the shift, and of one without.
    events = float(weights @ log_expit(base + shift * (nodes + shift)))
    others = float(weights @ log_expit(-base - shift * nodes))
    log_likelihood = prevalence * events + (1 - prevalence) * others
    return 1 - math.exp(2 * (_null_log_likelihood(prevalence) - log_likelihood))


def _null_log_likelihood(prevalence: float) -> float:
    """Per patient, of the model that gives everybody the overall risk."""
    return prevalence * math.log(prevalence) + (1 - prevalence) * math.log(1 - prevalence)


def _patients_for_shrinkage(shrinkage: float, n_parameters: int, cox_snell: float) -> int:
    return math.ceil(n_parameters / ((shrinkage - 1) * math.log(1 - cox_snell / shrinkage)))


def _warning(result: Mapping[str, Any], *, rarest: str) -> str | None:
    if result["n_train"] >= result["required_n"]:
        return None
    limiting = [name.replace("_", " ") for name, n in result["required_by"].items() if n > result["n_train"]]
    per_parameter = result["events_per_parameter"]
    events = "" if per_parameter is None else f", {per_parameter:.2g} of the rarest label per candidate predictor"
    count = result["n_parameters"]
    who = f"a regression with {count} candidate predictors" if count else "the overall risk alone"
    return (
        f"The training part has {result['n_train']} patients ({result['n_events']} {rarest}{events}); {who} would need "
        f"{result['required_n']} (Riley et al., BMJ 2020;368:m441; by {', '.join(limiting)}). What the model learned "
        "may not hold in other patients: judge it by external centers, and prefer fewer candidates."
    )
