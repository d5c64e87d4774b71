"""Seconds of the intervals of the AUC against the textbook and against a loop over scikit-learn, in the same run.

    python -m benchmarks.statistics                                              about 15 seconds

The textbook's DeLong compares every positive with every negative row; a million rows are far beyond it, so it is
timed on 20,000, ours beside it on the same rows, and its seconds for a million are what its quadratic growth makes of
that. The usual bootstrap loops with ``sklearn.metrics.roc_auc_score``, once for each resample and each block that the
jackknife leaves out; a share of its calls is timed and extrapolated. The figures of both sides must agree before the
table is printed. Ratios are those of processor time, which other work on the machine disturbs less than the clock.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from fusion.evaluation.bootstrap import bootstrap_weights
from fusion.evaluation.delong import delong
from fusion.evaluation.ranking import ranked_rows
from fusion.evaluation.roc import auc_of_counts, bootstrap_auc
from fusion.storage import atomic_path

RESULT = Path(__file__).parent / "results/statistics.md"
T = TypeVar("T")
N_DELONG, N_TEXTBOOK = 1_000_000, 20_000
N_BOOTSTRAPPED, N_BOOTSTRAP, N_BLOCKS = 10_000, 2_000, 2_000


class Cohort(NamedTuple):
    """Binormal scores."""

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]


class Seconds(NamedTuple):
    """By the clock, and of processor time."""

    clock: float
    processor: float

    def times(self, factor: float) -> Seconds:
        return Seconds(self.clock * factor, self.processor * factor)

    def ratio(self, other: Seconds) -> float:
        return self.processor / other.processor


class Row(NamedTuple):
    """One line of the table; ``ratio`` is how many times the processor time the line above it takes."""

    what: str
    n: int
    taken: Seconds
    ratio: float | None
    how: str


def main() -> None:
    """Measure, print the table and keep it."""
    options = _options()
    rows = [*_delong_rows(), *_bootstrap_rows(options.n_timed)]
    table = _table(rows, options.command)
    sys.stdout.write(table)
    with atomic_path(RESULT) as temporary:
        temporary.write_text(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n-timed", type=int, default=200, help="calls of scikit-learn that are timed (200)")
    options = parser.parse_args()
    options.command = " ".join(["python -m benchmarks.statistics", *sys.argv[1:]])
    return options


def _delong_rows() -> list[Row]:
    few, many = _cohort(N_TEXTBOOK), _cohort(N_DELONG)
    (auc, error), textbook = _timed(lambda: _textbook_delong(few))
    estimate, ours = _timed(lambda: delong(few.labels, few.scores, level=0.95))
    half = float(norm.ppf(0.975)) * error / (auc * (1 - auc))
    expected = [1 / (1 + math.exp(sign * half - math.log(auc / (1 - auc)))) for sign in (1, -1)]
    np.testing.assert_allclose([estimate.ci_low, estimate.ci_high], expected, rtol=1e-9)
    _, million = _timed(lambda: delong(many.labels, many.scores, level=0.95))
    textbook_million = textbook.times((N_DELONG / N_TEXTBOOK) ** 2)
    return [
        Row("DeLong, every pair", N_TEXTBOOK, textbook, None, "timed"),
        Row("DeLong, fusion", N_TEXTBOOK, ours, textbook.ratio(ours), "timed"),
        Row("DeLong, every pair", N_DELONG, textbook_million, None, "extrapolated, quadratic"),
        Row("DeLong, fusion", N_DELONG, million, textbook_million.ratio(million), "timed"),
    ]


def _bootstrap_rows(n_timed: int) -> list[Row]:
    cohort = _cohort(N_BOOTSTRAPPED)
    drawn = np.concatenate(list(bootstrap_weights(cohort.labels, n_bootstrap=n_timed, seed=1)))
    theirs, loop = _timed(lambda: [_loop_auc(cohort, weights) for weights in drawn])
    ranking = ranked_rows(*cohort, np.arange(N_BOOTSTRAPPED))
    np.testing.assert_allclose(auc_of_counts(*ranking.counts(drawn)), theirs, rtol=1e-12)
    _, ours = _timed(lambda: bootstrap_auc(*cohort, level=0.95, n_bootstrap=N_BOOTSTRAP, seed=0))
    n_calls = N_BOOTSTRAP + N_BLOCKS
    whole = loop.times(n_calls / n_timed)
    how = f"extrapolated from {n_timed} of {n_calls:,} calls"
    return [
        Row(f"BCa, {N_BOOTSTRAP:,} resamples and 2,000 blocks left out, loop", N_BOOTSTRAPPED, whole, None, how),
        Row(
            f"BCa, {N_BOOTSTRAP:,} resamples and 2,000 blocks left out, fusion",
            N_BOOTSTRAPPED,
            ours,
            whole.ratio(ours),
            "timed",
        ),
    ]


def _cohort(n_rows: int) -> Cohort:
    rng = np.random.default_rng(n_rows)
    labels = (rng.random(n_rows) < 0.27).astype(np.int64)
    return Cohort(labels, rng.normal(1.2 * labels))


def _timed(call: Callable[[], T]) -> tuple[T, Seconds]:
    clock, processor = time.perf_counter(), time.process_time()
    result = call()
    return result, Seconds(time.perf_counter() - clock, time.process_time() - processor)


def _textbook_delong(cohort: Cohort) -> tuple[float, float]:
    """AUC and its standard error from every pair (DeLong et al. 1988, eq. 2 to 6), a positive row at a time."""
    positive, negative = cohort.scores[cohort.labels == 1], cohort.scores[cohort.labels == 0]
    by_negative = np.zeros(len(negative))
    by_positive = np.zeros(len(positive))
    for row, score in enumerate(positive):
        wins = (score > negative) + 0.5 * (score == negative)
        by_positive[row] = wins.mean()
        by_negative += wins
    variance = by_positive.var(ddof=1) / len(positive) + (by_negative / len(positive)).var(ddof=1) / len(negative)
    return float(by_positive.mean()), math.sqrt(variance)


def _loop_auc(cohort: Cohort, weights: NDArray[np.float64]) -> float:
    rows = np.repeat(np.arange(len(weights)), weights.astype(int))
    return float(roc_auc_score(cohort.labels[rows], cohort.scores[rows]))


def _line(row: Row) -> str:
    ratio = "" if row.ratio is None else f"{row.ratio:,.1f}"
    return f"| {row.what} | {row.n:,} | {row.taken.clock:,.2f} | {row.taken.processor:,.2f} | {ratio} | {row.how} |"


def _table(rows: list[Row], command: str) -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "scikit-learn"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return "\n".join(
        [
            "# Statistics: seconds",
            "",
            f"`{command}`",
            "",
            f"Binormal scores, 27 % positive; one process on {os.cpu_count()} cores, load average at the end "
            f"{os.getloadavg()[0]:.1f}, peak memory {peak:,.0f} MiB; Python {platform.python_version()}, {versions}.",
            "",
            "| | rows | seconds | of processor time | times faster | |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
            *(_line(row) for row in rows),
            "",
        ]
    )


if __name__ == "__main__":
    main()
