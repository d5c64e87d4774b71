"""Whether the features tell the centers apart, and how much of the outcome that would give away."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from fusion.evaluation.discrimination import delong, macro_auc
from fusion.evaluation.estimate import Estimate, undefined
from fusion.evaluation.patients import patient_index, totals
from fusion.records import Case, Cohort, FeatureTable

_HOW_WELL = ((0.9, "nearly perfectly"), (0.75, "well"), (0.6, "a little"), (0.0, "hardly, if at all"))


@dataclass(frozen=True, kw_only=True)
class CenterProbe:
    """A model that predicts the center from the features.

    Attributes:
        auc: Macro one-vs-rest AUC, out of fold, of the patients; 0.5 is what one wants, 1 means that the features
            give the center away.
        n_centers: Centers told apart.
        left_out: Centers with fewer patients than folds.
        outcome_auc: AUC of the outcome by the center's share of it alone, in the same patients (never below 0.5).
        outcome_p: P value of Pearson's chi-squared test that all centers have the same shares; NaN with one label.
        text: What the figures mean, in sentences.
    """

    auc: Estimate
    n_centers: int
    left_out: tuple[str, ...]
    outcome_auc: Estimate
    outcome_p: float
    text: str

    def as_json(self) -> dict[str, Any]:
        """Plain content, None for NaN."""
        return {
            "auc": self.auc.as_json(),
            "n_centers": self.n_centers,
            "left_out": list(self.left_out),
            "outcome_auc": self.outcome_auc.as_json(),
            "outcome_p": None if np.isnan(self.outcome_p) else self.outcome_p,
            "text": self.text,
        }


def probe_centers(
    cohort: Cohort,
    features: FeatureTable,
    *,
    n_folds: int,
    n_components: int,
    inverse_penalty: float,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> CenterProbe | None:
    """Predict the center from the features, in cross-validation grouped by patient.

    Median imputation, scaling, principal components and a ridge logistic regression, all fitted inside each fold; the
    outcome is not looked at. With two centers the interval is DeLong's, with more a bootstrap's.

    The share of the outcome by center is that of the same patients: an apparent figure, so read it with its p value.

    Args:
        cohort: Says which case belongs to which patient and center.
        features: A row per case; cases of the table that the cohort does not have are left out.
        n_folds: A center with fewer patients than that is left out.
        n_components: Principal components at most.
        inverse_penalty: scikit-learn's ``C``.
        level: Of the intervals.
        n_bootstrap: Number of replicates.
        seed: Of the folds and the bootstrap; the same seed gives the same figures.

    Returns:
        None where fewer than two centers are left, or no feature.
    """
    table = _probed(cohort, features, n_folds)
    if table is None:
        return None
    y = np.array([table.centers.index(case.center) for case in table.cases], dtype=np.int64)
    patients = patient_index([case.patient_id for case in table.cases], len(y))
    probabilities = np.full((len(y), len(table.centers)), 0.0)
    for train, test in _folds(y, patients, n_folds=n_folds, seed=seed):
        size = min(n_components, len(train) - 1, len(features.names))
        model = _pipeline(size, inverse_penalty).fit(table.X[train], y[train])
        probabilities[np.ix_(test, model.classes_)] = model.predict_proba(table.X[test])
    bootstrap: dict[str, Any] = {"level": level, "n_bootstrap": n_bootstrap, "seed": seed}
    auc = _macro_auc(*_pooled(y, probabilities, patients), **bootstrap)
    outcome = _outcome(table, cohort.label_names, **bootstrap)
    return CenterProbe(
        auc=auc,
        n_centers=len(table.centers),
        left_out=table.left_out,
        outcome_auc=outcome.auc,
        outcome_p=outcome.p,
        text=f"{_told_apart(auc, len(table.centers))} {outcome.text}",
    )


class _Probed(NamedTuple):
    cases: tuple[Case, ...]
    centers: tuple[str, ...]
    left_out: tuple[str, ...]
    X: NDArray[np.float64]


def _probed(cohort: Cohort, features: FeatureTable, n_folds: int) -> _Probed | None:
    """Cases with features, of the centers that have enough patients with any."""
    row_of = {case_id: row for row, case_id in enumerate(features.case_ids)}
    cases = [case for case in cohort.cases if case.case_id in row_of]
    n_patients = Counter(center for center, _ in {(case.center, case.patient_id) for case in cases})
    centers = tuple(sorted(center for center, count in n_patients.items() if count >= n_folds))
    if len(centers) < 2 or not features.names:
        return None
    cases = [case for case in cases if case.center in centers]
    X = features.values[[row_of[case.case_id] for case in cases]]
    # The imputer fills what is missing, and takes infinity for a mistake.
    X = np.where(np.isfinite(X), X, np.nan)
    return _Probed(tuple(cases), centers, tuple(sorted(set(n_patients) - set(centers))), X)


def _folds(
    y: NDArray[np.int64], patients: NDArray[np.int64], *, n_folds: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedGroupKFold

    folds: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]] = StratifiedGroupKFold(
        n_folds, shuffle=True, random_state=seed
    ).split(y, y, patients)
    return folds


def _pipeline(n_components: int, inverse_penalty: float) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        # The full decomposition: no random start, so the same figures every time.
        PCA(n_components, svd_solver="full"),
        LogisticRegression(C=inverse_penalty, l1_ratio=0.0, solver="newton-cholesky", max_iter=200),
    )


def _pooled(
    y: NDArray[np.int64], probabilities: NDArray[np.float64], patients: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean probability of a patient's cases in one center; a patient seen in two centers keeps two rows."""
    keys, index, counts = np.unique(np.stack([patients, y], axis=1), axis=0, return_inverse=True, return_counts=True)
    return keys[:, 1], totals(probabilities, index) / counts[:, None], keys[:, 0]


def _macro_auc(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    patients: NDArray[np.int64],
    *,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> Estimate:
    if probabilities.shape[1] == 2:
        return delong(labels, probabilities[:, 1], level=level, patients=patients)
    return macro_auc(labels, probabilities, level=level, n_bootstrap=n_bootstrap, seed=seed, patients=patients)


class _Outcome(NamedTuple):
    auc: Estimate
    p: float
    text: str


def _outcome(table: _Probed, label_names: tuple[str, ...], *, level: float, n_bootstrap: int, seed: int) -> _Outcome:
    """What the centers' shares of the outcome alone say of it, each patient counted once."""
    patients = {case.patient_id: case for case in table.cases if case.label is not None}
    labels = np.array([label_names.index(str(case.label)) for case in patients.values()], dtype=np.int64)
    centers = np.array([table.centers.index(case.center) for case in patients.values()], dtype=np.int64)
    counts = np.zeros((len(table.centers), len(label_names)))
    np.add.at(counts, (centers, labels), 1)
    sizes = counts.sum(1, keepdims=True)
    known = sizes[:, 0] > 0
    if known.sum() < 2 or (counts.sum(0) > 0).sum() < 2:
        return _Outcome(undefined(len(labels)), math.nan, "The outcome has one value only, or is known in one center.")
    shares = counts / np.maximum(sizes, 1)
    p = float(chi2_contingency(counts[known][:, counts.sum(0) > 0], correction=False).pvalue)
    auc = _macro_auc(labels, shares[centers], np.arange(len(labels)), level=level, n_bootstrap=n_bootstrap, seed=seed)
    return _Outcome(auc, p, _shares(table.centers, label_names, counts, auc, p))


def _told_apart(auc: Estimate, n_centers: int) -> str:
    how_well = next(words for at_least, words in _HOW_WELL if auc.value >= at_least)
    return (
        f"AUC {auc.value:.2f} ({auc.ci_low:.2f} to {auc.ci_high:.2f}): the features tell the {n_centers} centers apart "
        f"{how_well}."
    )


def _shares(
    centers: tuple[str, ...], label_names: tuple[str, ...], counts: NDArray[np.float64], auc: Estimate, p: float
) -> str:
    sizes = counts.sum(1)
    known = np.flatnonzero(sizes)
    shares = counts[known] / sizes[known, None]
    label = len(label_names) - 1 if len(label_names) == 2 else int(np.ptp(shares, axis=0).argmax())
    low, high = (known[position] for position in (shares[:, label].argmin(), shares[:, label].argmax()))

    def share(center: np.intp) -> str:
        return f"{counts[center, label] / sizes[center]:.0%} of {sizes[center]:.0f} patients in {centers[center]}"

    return (
        "A model can learn the center instead of the disease where the outcome's share differs between centers: the "
        f"share of {label_names[label]} is between {share(low)} and {share(high)}, and the center alone predicts the "
        f"outcome with AUC {auc.value:.2f} (chi-squared test of equal shares: {_p_value(p)}). Compare with "
        "split=leave_one_center_out and harmonization=combat."
    )


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
