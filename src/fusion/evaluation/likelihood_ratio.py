"""How far a call moves the odds: likelihood ratios, and predictive values at a stated prevalence."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.special import expit, logit
from scipy.stats import norm

from fusion.errors import FusionError
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.proportion import Share


class _Ratio(NamedTuple):
    """A ratio of two shares; the value may be 0 or infinite, the limits of its logarithm are finite."""

    value: float
    corrected: float
    log_low: float
    log_high: float


def likelihood_ratios(sensitivity: Share, specificity: Share, *, level: float) -> dict[str, Estimate]:
    """``lr_positive`` = sensitivity / (1 - specificity) and ``lr_negative`` = (1 - sensitivity) / specificity.

    Both are >= 0 and 1 for a useless call; higher is better for the first, lower for the second. The intervals are
    those of the log method (Simel et al., J Clin Epidemiol 1991;44:763-770). Where one of the four counts is 0, it is
    made with 0.5 added to each of them (Haldane, Ann Hum Genet 1956;20:309-311) and stretched to the value; a ratio
    that would be infinite is itself given with that correction. NaN where a label is missing, and where nobody is
    called so (0 / 0).
    """
    n_patients = sensitivity.n_patients + specificity.n_patients
    pairs = {
        "lr_positive": (sensitivity, specificity.complement),
        "lr_negative": (sensitivity.complement, specificity),
    }
    return {name: _as_estimate(_ratio(*pair, level=level), n_patients) for name, pair in pairs.items()}


def predictive_values(
    sensitivity: Share, specificity: Share, *, prevalence: float, level: float
) -> dict[str, Estimate]:
    """``ppv_at_prevalence`` and ``npv_at_prevalence`` by Bayes' rule; in [0, 1], higher is better.

    The odds after a call are those before it times its likelihood ratio. The intervals are the standard logit
    intervals of Mercaldo et al. (Stat Med 2007;26:2170-2183), which are the same product made of the limits of the
    likelihood ratio; counts of 0 are treated as there. NaN where a likelihood ratio is.

    Args:
        sensitivity, specificity: At the operating point.
        prevalence: Of the positive label where the model will be used, in (0, 1), taken as known.
        level: Of the intervals.

    Raises:
        FusionError: For a prevalence outside (0, 1).
    """
    check_prevalence(prevalence)
    n_patients = sensitivity.n_patients + specificity.n_patients
    parts = {
        "ppv_at_prevalence": (_ratio(sensitivity, specificity.complement, level=level), float(logit(prevalence))),
        "npv_at_prevalence": (_ratio(specificity, sensitivity.complement, level=level), -float(logit(prevalence))),
    }
    return {name: _after(ratio, log_odds, n_patients) for name, (ratio, log_odds) in parts.items()}


def check_prevalence(prevalence: float) -> None:
    """Refuse what cannot be a prevalence, before anything is trained.

    Raises:
        FusionError: For a prevalence outside (0, 1).
    """
    if not 0 < prevalence < 1:
        raise FusionError(
            f"evaluation.prevalence: required a share between 0 and 1, both excluded, came {prevalence}; "
            "give the prevalence where the model will be used, or null"
        )


def _ratio(over: Share, under: Share, *, level: float) -> _Ratio | None:
    """One share over the other, of different patients."""
    if not over.n_patients or not under.n_patients or over.value == under.value == 0:
        return None
    cells = [part.n_effective * each for part in (over, under) for each in (part.value, 1 - part.value)]
    added = 0.5 if min(cells) == 0 else 0.0
    hits_over, missed_over, hits_under, missed_under = (cell + added for cell in cells)
    n_over, n_under = hits_over + missed_over, hits_under + missed_under
    corrected = (hits_over / n_over) / (hits_under / n_under)
    variance = 1 / hits_over - 1 / n_over + 1 / hits_under - 1 / n_under
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance)
    value = over.value / under.value if under.value > 0 else math.inf
    return _Ratio(value, corrected, math.log(corrected) - half, math.log(corrected) + half)


def _as_estimate(ratio: _Ratio | None, n_patients: int) -> Estimate:
    if ratio is None:
        return undefined(n_patients)
    value = ratio.value if math.isfinite(ratio.value) else ratio.corrected
    low, high = min(math.exp(ratio.log_low), value), max(math.exp(ratio.log_high), value)
    return Estimate(value=value, ci_low=low, ci_high=high, n=n_patients)


def _after(ratio: _Ratio | None, log_odds: float, n_patients: int) -> Estimate:
    if ratio is None:
        return undefined(n_patients)
    log_value = -math.inf if ratio.value == 0 else math.log(ratio.value)
    value, low, high = (float(expit(log_odds + log)) for log in (log_value, ratio.log_low, ratio.log_high))
    return Estimate(value=value, ci_low=min(low, value), ci_high=max(high, value), n=n_patients)
