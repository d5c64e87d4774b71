"""Runs → every figure of comparison.json."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion.comparison.auc_difference import fold_differences
from fusion.comparison.best_of_k import best_of_k, quantiles
from fusion.comparison.entries import Entries, read_entries
from fusion.comparison.holm import holm
from fusion.comparison.inner import InnerAuc, InnerRanking, inner_auc, rank_by_inner
from fusion.comparison.inputs import rank_inputs
from fusion.comparison.pair import compare_pair, number
from fusion.comparison.primary import Primary, find_primary
from fusion.comparison.reclassification import WARNING
from fusion.comparison.rows import Rows, side_by_side
from fusion.errors import FusionError
from fusion.evaluation.calibration import brier
from fusion.evaluation.discrimination import delong, delong_fold_mean, macro_auc
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.proportion import proportion

_N_BINS = 40
_N_INPUTS = 15
_LEVELS_OF_LUCK = (0.5, 0.95, 0.99)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a comparison.

    Attributes:
        primary: Name of the primary model; None for the one that the runs declare, if they do.
        reclassification: Whether NRI and IDI are wanted.
        n_permutations: Of the best-of-k null.
        within_centers: Whether labels are permuted within centers only.
        net_benefit_at: Threshold probabilities, each above 0 and below 1.
    """

    primary: str | None
    reclassification: bool
    n_permutations: int
    within_centers: bool
    net_benefit_at: Sequence[float]

    def __post_init__(self) -> None:
        if self.n_permutations < 1:
            raise FusionError(f"permutations: required at least 1, came {self.n_permutations}")
        wrong = [str(threshold) for threshold in self.net_benefit_at if not 0 < threshold < 1]
        if wrong:
            raise FusionError(f"net benefit: required probabilities above 0 and below 1, came {', '.join(wrong)}")


def compare_runs(runs: Sequence[str], asked: Asked) -> dict[str, Any]:
    """Compare models on the same patients in the same folds.

    Level, replicates and seed of the intervals, and the name of the operating point, are those of the first run.

    Args:
        runs: Run folders, or NAME=FOLDER.
        asked: What is wanted.

    Returns:
        The content of comparison.json. A difference is always ``model`` less ``reference``; figures that are not
        defined are None, and ``skipped`` says why.

    Raises:
        FusionError: If the runs cannot be compared; it says in what they differ.
    """
    entries = read_entries(runs)
    primary = find_primary(entries.models, asked.primary)
    config = entries.models[0].config
    evaluation = config["evaluation"]
    intervals = {"level": evaluation["level"], "n_bootstrap": evaluation["n_bootstrap"], "seed": config["seed"]}
    point = evaluation.get("threshold")
    rows = side_by_side(entries, point)
    names = [model.name for model in entries.models]
    level = intervals["level"]
    inner = [None if m.inner is None else inner_auc(m.inner, m.config, level=level) for m in entries.models]
    ranking = rank_by_inner(inner)
    comparisons = [
        {"model": names[model], "reference": names[reference]}
        | compare_pair(
            rows,
            model,
            reference,
            fold_sizes=entries.fold_sizes,
            net_benefit_at=asked.net_benefit_at,
            reclassified=asked.reclassification,
            intervals=intervals,
        )
        for model, reference in _pairs(len(names), primary)
    ]
    _adjust(comparisons)
    return {
        **_describe(entries, rows, primary),
        **intervals,
        "operating_point": point if rows.called is not None else None,
        "models": _models(entries, rows, primary, inner, intervals),
        "best_by_inner": None if ranking.best is None else names[ranking.best],
        "not_ranked_by_inner": [{"model": names[place], "why": why} for place, why in ranking.not_ranked.items()],
        "inputs": None if ranking.best is None else _inputs(entries, ranking.best),
        "comparisons": comparisons,
        "best_of_k": _best_of_k(rows, names, asked, seed=intervals["seed"]),
        **({"reclassification_warning": WARNING} if asked.reclassification else {}),
        "skipped": [{"what": what, "why": why} for what, why in _skipped(entries, rows, ranking, asked, point)],
    }


def _pairs(n_models: int, primary: Primary | None) -> list[tuple[int, int]]:
    """Every model against the primary one, or the later against the earlier of all pairs."""
    if primary is not None:
        return [(model, primary.place) for model in range(n_models) if model != primary.place]
    return [(model, reference) for reference in range(n_models) for model in range(reference + 1, n_models)]


def _describe(entries: Entries, rows: Rows, primary: Primary | None) -> dict[str, Any]:
    config = entries.models[0].config
    cohort = config.get("cohort") or {}
    split = config.get("split") or {}
    return {
        "cohort": cohort.get("name"),
        "is_simulated": cohort.get("simulation") is not None or cohort.get("name") == "phantom",
        "split": split.get("name"),
        "split_sha256": entries.split_sha256,
        "folds": {"finished": sorted(entries.fold_sizes), "planned": entries.n_planned},
        "label_names": list(rows.label_names),
        "n_patients": len(np.unique(rows.patients)),
        "n_by_label": {
            name: len(np.unique(rows.patients[rows.labels == k])) for k, name in enumerate(rows.label_names)
        },
        "n_rows": len(rows.labels),
        "primary": None if primary is None else entries.models[primary.place].name,
        "primary_declared_in": None if primary is None else primary.declared_in,
    }


def _models(
    entries: Entries,
    rows: Rows,
    primary: Primary | None,
    inner: Sequence[InnerAuc | None],
    intervals: Mapping[str, Any],
) -> list[dict[str, Any]]:
    return [
        {
            "name": model.name,
            "run": str(model.source),
            "is_primary": primary is not None and primary.place == place,
            "inner": None if of_inner is None else of_inner.as_json(),
            "figures": {name: figure.as_json() for name, figure in _figures(rows, place, intervals).items()},
            "published": None if model.published is None else model.published._asdict(),
        }
        for place, (model, of_inner) in enumerate(zip(entries.models, inner, strict=True))
    ]


def _inputs(entries: Entries, best: int) -> dict[str, Any]:
    model = entries.models[best]
    return {"model": model.name} | rank_inputs(model.source, model.config, n_shown=_N_INPUTS)


def _figures(rows: Rows, place: int, intervals: Mapping[str, Any]) -> dict[str, Estimate]:
    labels, index, scores, level = rows.labels, rows.patients, rows.scores[place], intervals["level"]
    if rows.is_binary:
        figures = {"auc": delong(labels, scores, level=level, patients=index)}
        if len(np.unique(rows.folds)) > 1:
            figures["auc_fold_mean"] = delong_fold_mean(labels, scores, rows.folds, level=level, patients=index)
    else:
        figures = {"auc": macro_auc(labels, scores, patients=index, **intervals)}
    figures["brier"] = brier(labels, rows.probabilities[place], patients=index, **intervals)
    for name, members in rows.shares.items():
        right = (rows.right or ())[place] & members
        of = members.astype(np.float64)
        figures[name] = proportion(right.astype(np.float64), of, level=level, patients=index)
    return figures


def _adjust(comparisons: Sequence[dict[str, Any]]) -> None:
    """Put Holm's p value beside every p value; the family is the same test in all comparisons."""
    families: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for comparison in comparisons:
        for path, test in _tests(comparison):
            families.setdefault(path, []).append(test)
    for tests in families.values():
        adjusted = holm([math.nan if test["p"] is None else test["p"] for test in tests])
        for test, p in zip(tests, adjusted, strict=True):
            test["p_holm"] = number(p)


def _tests(comparison: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for group in ("auc", "calls"):
        for name, test in (comparison[group] or {}).items():
            if "p" in test:
                yield (group, name), test
    if comparison["resampled_t"] is not None:
        yield ("resampled_t",), comparison["resampled_t"]


def _best_of_k(rows: Rows, names: Sequence[str], asked: Asked, *, seed: int) -> dict[str, Any] | None:
    found = best_of_k(
        rows.labels,
        rows.scores,
        n_permutations=asked.n_permutations,
        seed=seed,
        patients=rows.patients,
        strata=rows.centers if asked.within_centers else None,
    )
    if found is None:
        return None
    best, edges = found.luck.max(1), np.histogram_bin_edges(found.luck.max(1), bins=_N_BINS)
    return {
        "k": len(names),
        "best": names[found.best],
        "auc": float(found.aucs[found.best]),
        "p": found.p,
        "n_permutations": asked.n_permutations,
        "within_centers": asked.within_centers,
        "luck": quantiles(found.luck, _LEVELS_OF_LUCK),
        "histogram": {"edges": edges.tolist(), "counts": np.histogram(best, edges)[0].tolist()},
    }


def _skipped(
    entries: Entries, rows: Rows, ranking: InnerRanking, asked: Asked, point: str | None
) -> Iterator[tuple[str, str]]:
    """What was not computed, and why."""
    if ranking.best is None:
        whys = "; ".join(f"{entries.models[place].name}: {why}" for place, why in ranking.not_ranked.items())
        yield "The best model by inner AUC, and its inputs", f"No two inner figures are of one kind. {whys}."
    if not rows.is_binary:
        yield "DeLong’s test, net benefit" + ", NRI and IDI" * asked.reclassification, "They need two labels."
    elif rows.called is None:
        why = f"Not every fold of every run has a frozen threshold “{point}” in its fold.json."
        yield "Calls at the frozen threshold" + ", NRI and IDI" * asked.reclassification, why
    if not rows.has_every_label:
        found = ", ".join(rows.label_names[k] for k in np.unique(rows.labels))
        yield "AUC, its differences and the best of k", f"The test patients have only the label {found}."
    if len(entries.fold_sizes) < 2:
        yield "The corrected resampled t-test", "It needs at least two folds; the runs have one division."
    elif rows.has_every_label:
        left_out = fold_differences(rows.labels, rows.scores[0], rows.scores[0], rows.folds).left_out
        if left_out:
            folds = ", ".join(map(str, left_out))
            yield f"Folds {folds} in the corrected resampled t-test", "Their test part does not have every label."
    if len(entries.fold_sizes) < entries.n_planned:
        n, planned = len(entries.fold_sizes), entries.n_planned
        yield f"{planned - n} of {planned} folds", "The runs have not finished them."
