"""Whether a method's explanations may be believed, judged over the cases of a fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.explanation.deletion import Areas


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What was measured of one method on one case.

    Attributes:
        completeness_error: Relative, see ``relative_error``; None for a method that promises no sum.
        areas: Under its curves of deletion and insertion, and under those of random orders.
        similarity_randomized: Rank correlation with the explanations of networks that learned nothing, lower is better;
            NaN where the explanation is the same everywhere.
    """

    completeness_error: float | None
    areas: Areas
    similarity_randomized: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the checks say of a method, over N cases.

    Attributes:
        n_cases: N.
        completeness_error: The largest of them; None for a method that promises no sum.
        deletion_gain, insertion_gain: Mean area by which it beats random orders, above 0 where it does.
        deletion_p, insertion_p: Of Wilcoxon's signed-rank test that it does, one-sided.
        similarity_randomized: Mean; NaN where no explanation differs from place to place.
        broken: Bars that it breaks, in words.
        unproven: Bars that so few cases cannot show it to keep, in words.
    """

    n_cases: int
    completeness_error: float | None
    deletion_gain: float
    deletion_p: float
    insertion_gain: float
    insertion_p: float
    similarity_randomized: float
    broken: tuple[str, ...]
    unproven: tuple[str, ...]

    def __str__(self) -> str:
        if self.broken:
            return f"unfaithful: {'; '.join(self.broken)}"
        return f"unproven: {'; '.join(self.unproven)}" if self.unproven else "faithful"


def judge(checks: Sequence[Checks], *, bars: Mapping[str, Any]) -> Verdict:
    """Judge a method by what was measured on N cases.

    A method is unfaithful where one of its sums is off, where on average it does no better than random orders, in
    deletion or in insertion, or where networks that learned nothing give much the same picture. It is faithful where it
    is none of this and beats random orders in both, by Wilcoxon's signed-rank test: paired, since the curves of cases
    differ far more than those of orders, and exact, so that it holds for six cases, where all of them, or all but the
    one or two smallest gains, have to agree. Both tests have to pass, so that no correction is due. Between the two it
    is unproven: few cases do not show what is not there, and do not excuse it either.

    Args:
        checks: Of N cases, at least one.
        bars: ``pixels.bars`` of ``conf/explain``.
    """
    deletion = np.array([check.areas.deletion_random - check.areas.deletion for check in checks])
    insertion = np.array([check.areas.insertion - check.areas.insertion_random for check in checks])
    errors = [check.completeness_error for check in checks if check.completeness_error is not None]
    similarities = np.array([check.similarity_randomized for check in checks])
    similar = float(similarities[~np.isnan(similarities)].mean()) if not np.isnan(similarities).all() else float("nan")
    worst = max(errors) if errors else None
    tests = {"deletion": (deletion, _p_above_zero(deletion)), "insertion": (insertion, _p_above_zero(insertion))}
    broken = [f"{name} does no better than random" for name, (gains, _) in tests.items() if gains.mean() <= 0]
    if worst is not None and worst > bars["completeness_error"]:
        broken.insert(0, f"completeness error {worst:.1%}, over {bars['completeness_error']:.0%}")
    if np.isnan(similar):
        broken.append("the same everywhere")
    elif similar > bars["similarity_randomized"]:
        broken.append(f"survives a randomized network (rank correlation {similar:.2f})")
    return Verdict(
        n_cases=len(checks),
        completeness_error=worst,
        deletion_gain=float(deletion.mean()),
        deletion_p=tests["deletion"][1],
        insertion_gain=float(insertion.mean()),
        insertion_p=tests["insertion"][1],
        similarity_randomized=similar,
        broken=tuple(broken),
        unproven=tuple(
            f"{name} not shown to beat random (p = {p:.2f}, {len(checks)} case{'s' * (len(checks) > 1)})"
            for name, (_, p) in tests.items()
            if p > bars["p"]
        ),
    )


def _p_above_zero(gains: NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(gains, alternative="greater").pvalue) if gains.any() else 1.0
