"""What the best of k models reaches by luck alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from fusion.evaluation.patients import patient_index, totals
from fusion.evaluation.scores import Patients

Floats = NDArray[np.float64]
_CHUNK_ELEMENTS = 4_000_000


class BestOfK(NamedTuple):
    """The best AUC, and what the best would be if no model knew anything.

    Attributes:
        best: Which model has the largest AUC, the first of equals.
        aucs: (k,) of each model.
        luck: (B, k) AUC of each model under each permutation; the maximum of a row is what the best reaches by luck.
        p: Share of permutations whose best is at least the observed best, the observed order counted as one of them
            (Phipson & Smyth, Stat Appl Genet Mol Biol 2010;9:39).
    """

    best: int
    aucs: Floats
    luck: Floats
    p: float


def best_of_k(
    labels: NDArray[np.int64],
    scores: Sequence[Floats],
    *,
    n_permutations: int,
    seed: int,
    patients: Patients = None,
    strata: Sequence[object] | None = None,
) -> BestOfK | None:
    """Null distribution of the largest of k AUCs, by permutation.

    The labels are permuted among the patients while every patient keeps the scores of all models, so that the models
    stay as alike as they are; the more they differ, the more luck the best one has had. The hypothesis is that the
    scores know nothing of the labels (Ojala & Garriga, JMLR 2010;11:1833-1863, test 1); the maximum over models is
    Westfall & Young's (1993). What it does not test is whether the best model is better than the others.

    Args:
        labels: (N,) 0 to K - 1, the same in all rows of a patient.
        scores: For each model (N,) of the label 1 with two labels, else (N, K), whose AUC is the mean one-vs-rest.
        n_permutations: B.
        seed: Of the permutations.
        patients: (N,) the patient of each row; None for a row each.
        strata: (N,) labels are permuted within these only (e.g. centers, so that a center's prevalence is nobody's
            merit), the same in all rows of a patient; None for everywhere.

    Returns:
        The distribution; None where a label is missing.
    """
    index = patient_index(patients, len(labels))
    n_labels = 2 if scores[0].ndim == 1 else scores[0].shape[1]
    if set(labels.tolist()) != set(range(n_labels)):
        return None
    classes = [1] if n_labels == 2 else list(range(n_labels))
    # (P, 1 + k) per label: each patient's rows, and the sum of their ranks in each model's scores.
    sums = [_rank_sums([s if s.ndim == 1 else s[:, c] for s in scores], index) for c in classes]
    of_patient = np.zeros(len(sums[0]), dtype=np.int64)
    of_patient[index] = labels

    def aucs(permuted: NDArray[np.int64]) -> Floats:
        of_classes = [_aucs(permuted == c, by_patient) for c, by_patient in zip(classes, sums, strict=True)]
        return np.asarray(np.mean(of_classes, axis=0))

    observed = aucs(of_patient[None])[0]
    draws = _permutations(of_patient, _per_patient(strata, index), n_permutations=n_permutations, seed=seed)
    luck = np.concatenate([aucs(chunk) for chunk in draws])
    # Equal AUCs may differ by rounding.
    reached = int(np.sum(luck.max(1) >= observed.max() - 1e-12))
    return BestOfK(int(np.argmax(observed >= observed.max() - 1e-12)), observed, luck, (1 + reached) / (1 + len(luck)))


def quantiles(luck: Floats, levels: Sequence[float]) -> dict[str, float]:
    """Quantiles of what the best reaches, and of what one model of them reaches, by luck."""
    return {
        **{f"best_q{100 * level:g}": float(np.quantile(luck.max(1), level)) for level in levels},
        **{f"one_q{100 * level:g}": float(np.quantile(luck, level)) for level in levels},
    }


def _rank_sums(scores: Sequence[Floats], index: NDArray[np.int64]) -> Floats:
    rows = np.ones(len(index))
    return totals(np.stack([rows, *(rankdata(of_model) for of_model in scores)], axis=1), index)


def _aucs(is_positive: NDArray[np.bool_], sums: Floats) -> Floats:
    """(b, P) labels → (b, k) AUCs by the rank sum (Mann & Whitney 1947)."""
    positive = is_positive.astype(np.float64) @ sums
    n_positive, n_rows = positive[:, :1], sums[:, 0].sum()
    with np.errstate(invalid="ignore"):
        wins = positive[:, 1:] - n_positive * (n_positive + 1) / 2
        return np.asarray(wins / (n_positive * (n_rows - n_positive)))


def _per_patient(strata: Sequence[object] | None, index: NDArray[np.int64]) -> NDArray[np.int64]:
    result = np.zeros(int(index.max()) + 1, dtype=np.int64)
    if strata is not None:
        result[index] = patient_index(strata, len(index))
    return result


def _permutations(
    labels: NDArray[np.int64], strata: NDArray[np.int64], *, n_permutations: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Chunks (b, P), B rows in all."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    chunk = max(1, _CHUNK_ELEMENTS // len(labels))
    for start in range(0, n_permutations, chunk):
        permuted = np.tile(labels, (min(chunk, n_permutations - start), 1))
        for group in members:
            permuted[:, group] = rng.permuted(permuted[:, group], axis=1)
        yield permuted
