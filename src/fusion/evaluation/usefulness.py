"""What is gained by acting on the probabilities: net benefit, decision curve and clinical impact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.evaluation.bootstrap import bootstrap_totals, percentile_interval
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index, totals
from fusion.evaluation.proportion import proportion

Labels01 = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Patients = Sequence[object] | NDArray[np.int64] | None
Thresholds = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DecisionPoint:
    """Net benefit at one threshold; higher is better, and that of treating nobody is 0.

    Attributes:
        threshold: The probability from which on a patient is treated, in [0, 1).
        model: Of treating those whose probability is at least the threshold.
        treat_all: Of treating everybody.
    """

    threshold: float
    model: Estimate
    treat_all: Estimate

    def as_json(self) -> dict[str, Any]:
        """Plain mapping."""
        return {"threshold": self.threshold, "model": self.model.as_json(), "treat_all": self.treat_all.as_json()}


@dataclass(frozen=True, kw_only=True)
class ImpactPoint:
    """Of 1000 patients, how many a threshold marks; both in [0, 1000].

    Attributes:
        threshold: The probability from which on a patient is at high risk, in [0, 1).
        high_risk: Patients whose probability is at least the threshold.
        true_positive: Those among them who have the outcome.
    """

    threshold: float
    high_risk: Estimate
    true_positive: Estimate

    def as_json(self) -> dict[str, Any]:
        """Plain mapping."""
        return {
            "threshold": self.threshold,
            "high_risk": self.high_risk.as_json(),
            "true_positive": self.true_positive.as_json(),
        }


def percent_thresholds(*, lowest: float, highest: float) -> NDArray[np.float64]:
    """(T,) every whole percent from ``lowest`` to ``highest``, both in [0, 1).

    They are the floats nearest to the percents, so that a probability of 0.3 meets the threshold 0.3.

    Raises:
        ValueError: Where no percent lies between them, or a limit outside [0, 1).
    """
    percents = np.arange(np.ceil(np.round(lowest * 100, 9)), np.floor(np.round(highest * 100, 9)) + 1)
    if not (lowest >= 0 and highest < 1 and len(percents)):
        raise ValueError(f"decision curve: required 0 <= lowest <= highest < 1, came {lowest} and {highest}")
    return percents / 100


def decision_curve(
    labels01: Labels01,
    probabilities: Probabilities,
    *,
    thresholds: Thresholds,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> list[DecisionPoint]:
    """Net benefit over threshold probabilities (Vickers & Elkin, Med Decis Making 2006;26:565-574, equation 1).

    Net benefit is TP / N - FP / N · t / (1 - t), where a row is treated if its probability is >= t: true positives
    per patient, less the false positives at the rate of exchange that the threshold stands for. It is at most the
    prevalence. The intervals are percentile bootstraps of patients, not stratified, since prevalence varies too
    (Vickers et al., BMC Med Inform Decis Mak 2008;8:53); they are pointwise, and of width 0 where all patients add
    the same, e.g. where nobody is treated.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        probabilities: (N,) calibrated probabilities of the positive label; a score has no net benefit.
        thresholds: (T,) in [0, 1).
        level: Of the intervals.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        A point per threshold, in their order; NaN without rows.

    Raises:
        ValueError: For a threshold outside [0, 1) or a probability outside [0, 1].
    """
    values = _thresholds(thresholds, probabilities)
    columns = np.concatenate(
        [_benefit(labels01, probabilities, values), _benefit(labels01, np.ones_like(probabilities), values)], axis=1
    )
    estimates = _means(columns, level=level, n_bootstrap=n_bootstrap, seed=seed, patients=patients)
    models, alls = estimates[: len(values)], estimates[len(values) :]
    return [
        DecisionPoint(threshold=float(threshold), model=model, treat_all=treat_all)
        for threshold, model, treat_all in zip(values, models, alls, strict=True)
    ]


def net_benefit_difference(
    labels01: Labels01,
    first: Probabilities,
    second: Probabilities,
    *,
    threshold: float,
    level: float,
    n_bootstrap: int,
    seed: int,
    patients: Patients = None,
) -> Estimate:
    """Net benefit of ``first`` less that of ``second`` on the same rows; above 0 the first is better.

    The interval is a percentile bootstrap of patients, drawn once for both (paired), not stratified.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        first, second: (N,) probabilities of the positive label.
        threshold: The probability from which on a patient is treated, in [0, 1).
        level: Of the interval.
        n_bootstrap: Number of replicates.
        seed: Of the bootstrap.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        The estimate; NaN without rows.

    Raises:
        ValueError: For a threshold outside [0, 1) or a probability outside [0, 1].
    """
    benefits = [
        _benefit(labels01, probabilities, _thresholds([threshold], probabilities)) for probabilities in (first, second)
    ]
    difference = benefits[0] - benefits[1]
    return _means(difference, level=level, n_bootstrap=n_bootstrap, seed=seed, patients=patients)[0]


def impact_curve(
    labels01: Labels01,
    probabilities: Probabilities,
    *,
    thresholds: Thresholds,
    level: float,
    patients: Patients = None,
) -> list[ImpactPoint]:
    """Of 1000 patients like these, those at high risk and those among them with the outcome (Kerr et al. 2016).

    See J Clin Oncol 2016;34:2534-2540. Both are shares of all patients, so their intervals are Wilson's.

    Args:
        labels01: (N,) 1 for the positive label, else 0.
        probabilities: (N,) of the positive label.
        thresholds: (T,) in [0, 1); a row is at high risk if its probability is >= the threshold.
        level: Of the intervals.
        patients: (N,) the patient of each row; None for a row each.

    Returns:
        A point per threshold, in their order; NaN without rows.

    Raises:
        ValueError: For a threshold outside [0, 1) or a probability outside [0, 1].
    """
    index = patient_index(patients, len(labels01))
    everybody = np.ones(len(labels01))

    def per_thousand(rows: NDArray[np.bool_]) -> Estimate:
        share = proportion(rows.astype(np.float64), everybody, level=level, patients=index)
        return Estimate(value=1000 * share.value, ci_low=1000 * share.ci_low, ci_high=1000 * share.ci_high, n=share.n)

    return [
        ImpactPoint(
            threshold=float(threshold),
            high_risk=per_thousand(probabilities >= threshold),
            true_positive=per_thousand((probabilities >= threshold) & (labels01 == 1)),
        )
        for threshold in _thresholds(thresholds, probabilities)
    ]


def _benefit(labels01: Labels01, probabilities: Probabilities, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, T) what each row adds: 1 for a true positive, minus the odds of the threshold for a false one."""
    treated = probabilities[:, None] >= thresholds
    gains = np.where(labels01[:, None] == 1, 1.0, -thresholds / (1 - thresholds))
    return np.where(treated, gains, 0.0)


def _means(
    columns: NDArray[np.float64], *, level: float, n_bootstrap: int, seed: int, patients: Patients
) -> list[Estimate]:
    """Mean of each column of (N, C) rows with the interval of a bootstrap of patients."""
    n_rows, n_columns = columns.shape
    index = patient_index(patients, n_rows)
    if not n_rows:
        return [undefined(0)] * n_columns
    by_patient = totals(np.concatenate([columns, np.ones((n_rows, 1))], axis=1), index)
    one_stratum = np.zeros(len(by_patient), dtype=np.int64)
    sums = bootstrap_totals(by_patient, one_stratum, n_bootstrap=n_bootstrap, seed=seed)
    replicates = sums[:, :-1] / sums[:, -1:]
    limits = [percentile_interval(column, level=level) for column in replicates.T]
    return [
        Estimate(value=float(value), ci_low=low, ci_high=high, n=len(by_patient))
        for value, (low, high) in zip(columns.mean(0), limits, strict=True)
    ]


def _thresholds(thresholds: Thresholds, probabilities: Probabilities) -> NDArray[np.float64]:
    values = np.asarray(thresholds, dtype=np.float64)
    # Written so that NaN fails too.
    if not np.all((values >= 0) & (values < 1)):
        raise ValueError(f"net benefit: required thresholds in [0, 1), came {values.min()} to {values.max()}")
    if not np.all((probabilities >= 0) & (probabilities <= 1)):
        raise ValueError(
            f"net benefit: required probabilities in [0, 1], came {probabilities.min()} to {probabilities.max()}"
        )
    return values
