"""One model against another, in every figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusion.comparison.auc_difference import bootstrap_difference, fold_differences
from fusion.comparison.mcnemar import mcnemar
from fusion.comparison.means import mean_difference, squared_errors
from fusion.comparison.reclassification import reclassification
from fusion.comparison.resampled_t import resampled_t
from fusion.comparison.rows import Rows
from fusion.evaluation.discrimination import PairedDifference, delong_difference
from fusion.evaluation.usefulness import net_benefit_difference


def compare_pair(
    rows: Rows,
    model: int,
    reference: int,
    *,
    fold_sizes: Mapping[int, tuple[int, int]],
    net_benefit_at: Sequence[float],
    reclassified: bool,
    intervals: Mapping[str, Any],
) -> dict[str, Any]:
    """Every figure of ``model`` less that of ``reference``; None for what is not defined.

    Args:
        rows: Of all models.
        model, reference: Their places.
        fold_sizes: Fold → patients learned from, and tested on.
        net_benefit_at: Threshold probabilities.
        reclassified: Whether NRI and IDI are wanted.
        intervals: ``level``, ``n_bootstrap`` and ``seed``.
    """
    probabilities = [rows.probabilities[place] for place in (model, reference)]
    errors = [squared_errors(rows.labels, p) for p in probabilities]
    everybody = np.ones(len(rows.labels), dtype=bool)
    difference = mean_difference(errors[0], errors[1], rows=everybody, strata=None, patients=rows.patients, **intervals)
    result = {
        "identical": bool(np.array_equal(probabilities[0], probabilities[1])),
        "auc": _auc(rows, model, reference, intervals),
        "resampled_t": _resampled_t(rows, model, reference, fold_sizes, level=intervals["level"]),
        "brier": difference.as_json(),
        "net_benefit": _net_benefit(rows, model, reference, net_benefit_at, intervals),
        "calls": _calls(rows, model, reference, intervals),
    }
    if reclassified:
        result["reclassification"] = _reclassification(rows, model, reference, intervals)
    return result


def number(value: float) -> float | None:
    """None for NaN, which JSON does not know."""
    return None if math.isnan(value) else float(value)


def _auc(rows: Rows, model: int, reference: int, intervals: Mapping[str, Any]) -> dict[str, Any] | None:
    if not rows.has_every_label:
        return None
    pair = rows.scores[model], rows.scores[reference]
    bootstrap = _paired(bootstrap_difference(rows.labels, *pair, patients=rows.patients, **intervals))
    if not rows.is_binary:
        return {"bootstrap": bootstrap}
    delong = _paired(delong_difference(rows.labels, *pair, level=intervals["level"], patients=rows.patients))
    # One p value for one question; the bootstrap's would be no smaller than 2 / (replicates + 1) before Holm.
    return {"delong": delong, "bootstrap": {"difference": bootstrap["difference"]}}


def _paired(paired: PairedDifference) -> dict[str, Any]:
    return {"difference": paired.difference.as_json(), "p": number(paired.p)}


def _resampled_t(
    rows: Rows, model: int, reference: int, fold_sizes: Mapping[int, tuple[int, int]], *, level: float
) -> dict[str, Any] | None:
    if len(fold_sizes) < 2:
        return None
    found = fold_differences(rows.labels, rows.scores[model], rows.scores[reference], rows.folds)
    if len(found.folds) < 2:
        return None
    n_train, n_test = np.mean([fold_sizes[fold] for fold in found.folds], axis=0)
    n_patients = len(np.unique(rows.patients[np.isin(rows.folds, found.folds)]))
    test = resampled_t(found.values, n_train=n_train, n_test=n_test, n_patients=n_patients, level=level)
    return {
        "difference": test.difference.as_json(),
        "t": number(test.t),
        "df": test.df,
        "p": number(test.p),
        "n_train": float(n_train),
        "n_test": float(n_test),
        "by_fold": dict(zip(map(str, found.folds), found.values.tolist(), strict=True)),
        "folds_left_out": list(found.left_out),
        "is_repeated": rows.is_repeated,
    }


def _net_benefit(
    rows: Rows, model: int, reference: int, thresholds: Sequence[float], intervals: Mapping[str, Any]
) -> list[dict[str, Any]] | None:
    if not rows.is_binary:
        return None
    pair = rows.scores[model], rows.scores[reference]
    return [
        {
            "threshold": threshold,
            "difference": net_benefit_difference(
                rows.labels, *pair, threshold=threshold, patients=rows.patients, **intervals
            ).as_json(),
        }
        for threshold in thresholds
    ]


def _calls(rows: Rows, model: int, reference: int, intervals: Mapping[str, Any]) -> dict[str, Any] | None:
    if rows.right is None:
        return None
    first, second = rows.right[model], rows.right[reference]
    result = {}
    for name, members in rows.shares.items():
        test = mcnemar(first[members], second[members], patients=rows.patients[members])
        difference = mean_difference(
            first.astype(np.float64),
            second.astype(np.float64),
            rows=members,
            strata=rows.labels,
            patients=rows.patients,
            **intervals,
        )
        result[name] = {
            "difference": difference.as_json(),
            "only_model_right": test.first_only,
            "only_reference_right": test.second_only,
            "p": test.p if members.any() else None,
            "mid_p": test.mid_p if members.any() else None,
        }
    return result


def _reclassification(rows: Rows, model: int, reference: int, intervals: Mapping[str, Any]) -> dict[str, Any] | None:
    if rows.called is None:
        return None
    figures = reclassification(
        rows.labels,
        rows.scores[model],
        rows.scores[reference],
        first_called=rows.called[model],
        second_called=rows.called[reference],
        patients=rows.patients,
        **intervals,
    )
    return {name: figure.as_json() for name, figure in figures.items()}
