"""How often the 95 % intervals hold the truth, in simulated cohorts of 70 patients whose true AUC is 0.8.

    python -m benchmarks.coverage --n-cohorts 2000                                about 5 minutes on one core
    python -m benchmarks.coverage --part threshold                                about 1 minute, keeps the other rows

Scores are normal with variance 1, apart by √2 Φ⁻¹(0.8); the numbers of each label are fixed. The probabilities of the
Brier score are the true ones. Figures of the confusion table are given at the threshold halfway between the labels and
at a strict one, where cells of the table are nearly empty. The intervals of the AUC that `fusion` gives must hold the
truth in 93 to 97 % of cohorts; 2,000 cohorts tell a coverage to 1 percentage point (two standard errors). The others
are shown to compare.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from fusion.evaluation.bootstrap import bootstrap_weights, percentile_interval
from fusion.evaluation.calibration import brier
from fusion.evaluation.confusion_table import balanced_accuracy, f1_of_last, matthews, table_estimates
from fusion.evaluation.delong import delong
from fusion.evaluation.estimate import Estimate
from fusion.evaluation.precision_recall import average_precision
from fusion.evaluation.ranking import ranked_rows
from fusion.evaluation.roc import auc_of_counts, bootstrap_auc, partial_auc
from fusion.storage import atomic_path

RESULT = Path(__file__).parent / "results/coverage.md"
AUC, N, LEVEL, SPECIFICITY = 0.8, 70, 0.95, 0.8
SHIFT = math.sqrt(2) * float(norm.ppf(AUC))
# 0.27 is the share of malignant tumors in the salivary-gland cohorts.
N_POSITIVE = (19, 35)
DELONG, BOOTSTRAP = "AUC, DeLong on the logit scale", "AUC, BCa bootstrap"
PROMISED = (DELONG, BOOTSTRAP)
STRICT_SPECIFICITY = 0.97
FIGURES = {"balanced accuracy": balanced_accuracy, "F1": f1_of_last, "MCC": matthews}


class Interval(NamedTuple):
    """One method's interval in one cohort, and the truth."""

    low: float
    high: float
    truth: float


def main() -> None:
    """Simulate, print the table and keep it."""
    options = _options()
    parts = PARTS.values() if options.part == "all" else [PARTS[options.part]]
    rows = {} if options.part == "all" else _kept_rows()
    for n_positive in N_POSITIVE:
        found: dict[str, list[Interval]] = defaultdict(list)
        title = f"{n_positive} of {N} positive"
        for number in track(range(options.n_cohorts), title, console=Console(stderr=True)):
            for part in parts:
                for method, interval in part(n_positive, number, options.n_bootstrap):
                    found[method].append(interval)
        rows |= {(title, method): _row(title, method, intervals) for method, intervals in found.items()}
    # Stable: the methods of a cohort stay in their order.
    table = _table([rows[key] for key in sorted(rows, key=lambda key: key[0])], options)
    sys.stdout.write(table)
    with atomic_path(RESULT) as temporary:
        temporary.write_text(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n-cohorts", type=int, default=2000, help="of each prevalence (2000)")
    parser.add_argument("--part", choices=("all", *PARTS), default="all", help="which intervals (all)")
    parser.add_argument("--n-bootstrap", type=int, default=2000, help="replicates in each cohort (2000)")
    return parser.parse_args()


def _cohort(n_positive: int, number: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and scores of the cohort of that number."""
    rng = np.random.default_rng([n_positive, number])
    labels = np.repeat([0, 1], [N - n_positive, n_positive])
    return labels, rng.normal(SHIFT * labels)


def _of_ranking(n_positive: int, number: int, n_bootstrap: int) -> Iterator[tuple[str, Interval]]:
    """The intervals of figures of the ranking."""
    labels, scores = _cohort(n_positive, number)
    settings: dict[str, Any] = {"level": LEVEL, "n_bootstrap": n_bootstrap, "seed": number}
    low, high = _percentile(labels, scores, n_bootstrap=n_bootstrap, seed=number)
    precision = average_precision(labels, scores, **settings)
    partial = partial_auc(labels, scores, above_specificity=SPECIFICITY, **settings)
    yield DELONG, _of(delong(labels, scores, level=LEVEL), AUC)
    yield BOOTSTRAP, _of(bootstrap_auc(labels, scores, **settings), AUC)
    yield "AUC, percentile bootstrap", Interval(low, high, AUC)
    yield "average precision, BCa bootstrap", _of(precision, _true_precision(n_positive / N))
    yield f"partial AUC above specificity {SPECIFICITY}, BCa bootstrap", _of(partial, _true_partial())


def _of_threshold(n_positive: int, number: int, n_bootstrap: int) -> Iterator[tuple[str, Interval]]:
    """The intervals of figures of a confusion table, at two thresholds, and of the probabilities."""
    labels, scores = _cohort(n_positive, number)
    settings: dict[str, Any] = {"level": LEVEL, "n_bootstrap": n_bootstrap, "seed": number}
    for threshold in (SHIFT / 2, float(norm.ppf(STRICT_SPECIFICITY))):
        called, at = (scores >= threshold).astype(np.int64), f"at specificity {norm.cdf(threshold):.2f}"
        found = table_estimates(labels, called, FIGURES, n_labels=2, patients=np.arange(N), **settings)
        for name, truth in _true_figures(n_positive, threshold).items():
            yield f"{name} {at}, posterior", _of(found[name], truth)
    positive = _probability(scores, n_positive)
    error = brier(labels, np.stack([1 - positive, positive], axis=1), **settings)
    yield "Brier score, BCa bootstrap", _of(error, _true_error(n_positive))


PARTS = {"ranking": _of_ranking, "threshold": _of_threshold}


def _of(estimate: Estimate, truth: float) -> Interval:
    return Interval(estimate.ci_low, estimate.ci_high, truth)


def _percentile(
    labels: NDArray[np.int64], scores: NDArray[np.float64], *, n_bootstrap: int, seed: int
) -> tuple[float, float]:
    ranking = ranked_rows(labels, scores, np.arange(len(labels)))
    drawn = bootstrap_weights(labels, n_bootstrap=n_bootstrap, seed=seed)
    replicates = np.concatenate([auc_of_counts(*ranking.counts(chunk)) for chunk in drawn])
    return percentile_interval(replicates, level=LEVEL)


@cache
def _true_precision(prevalence: float) -> float:
    """Mean precision at the scores of the positive label."""

    def density(score: float) -> float:
        true = prevalence * norm.sf(score - SHIFT)
        return float(norm.pdf(score - SHIFT) * true / (true + (1 - prevalence) * norm.sf(score)))

    return float(quad(density, -8, 8 + SHIFT)[0])


@cache
def _true_partial() -> float:
    """McClish's standardized area over false positive rates up to 1 - specificity."""
    most_false = 1 - SPECIFICITY
    area = quad(lambda false: norm.sf(norm.isf(false) - SHIFT), 0, most_false)[0]
    return float((1 + (area - most_false**2 / 2) / (most_false - most_false**2 / 2)) / 2)


@cache
def _true_figures(n_positive: int, threshold: float) -> dict[str, float]:
    """Figures of the confusion table with its expected counts."""
    shares = norm.sf(threshold - SHIFT * np.arange(2))
    table = np.stack([1 - shares, shares], axis=1) * np.array([[N - n_positive], [n_positive]])
    return {name: float(figure(table[None])[0]) for name, figure in FIGURES.items()}


@cache
def _true_error(n_positive: int) -> float:
    """Mean squared error of the true probabilities over both labels."""

    def density(score: float, label: int) -> float:
        return float(norm.pdf(score - SHIFT * label) * (label - _probability(score, n_positive)) ** 2)

    errors = [quad(density, -8, 8 + SHIFT, args=(label,))[0] for label in (0, 1)]
    return float(np.average(errors, weights=(N - n_positive, n_positive)))


def _probability(scores: Any, n_positive: int) -> Any:
    """Of the positive label, given the score and the numbers of both."""
    return expit(SHIFT * scores - SHIFT**2 / 2 + logit(n_positive / N))


def _kept_rows() -> dict[tuple[str, str], str]:
    """(cohort, interval) → its row in the table that is there."""
    cells = [(line, line.split(" | ")) for line in RESULT.read_text().splitlines() if line.startswith("| ")]
    return {(parts[0].removeprefix("| "), parts[1]): line for line, parts in cells if "of" in parts[0]}


def _row(title: str, method: str, intervals: list[Interval]) -> str:
    low, high, truth = np.array(intervals).T
    held = float(np.mean((low <= truth) & (truth <= high)))
    promise = "" if method not in PROMISED else "yes" if 0.93 <= held <= 0.97 else "**no**"
    figures = (held, float(np.mean(truth < low)), float(np.mean(truth > high)))
    shares = " | ".join(f"{100 * figure:.1f}" for figure in figures)
    return f"| {title} | {method} | {truth[0]:.3f} | {shares} | {np.mean(high - low):.3f} | {len(low)} | {promise} |"


def _table(rows: list[str], options: argparse.Namespace) -> str:
    return "\n".join(
        [
            "# Coverage of the 95 % intervals",
            "",
            "`python -m benchmarks.coverage`",
            "",
            f"Simulated cohorts of {N} patients, their number beside each interval, true AUC {AUC}, "
            f"{options.n_bootstrap} bootstrap replicates or draws in each; binormal scores, seeds fixed.",
            "",
            "| cohort | interval | truth | held, % | truth below, % | truth above, % | width | cohorts | 93 to 97 % |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | :---: |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
