"""Which features stay the same when the lesion's outline is drawn again. Measured on training cases only."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError, InputError, Problem
from fusion.radiomics.extract import extract_features
from fusion.radiomics.icc import FORMS, Agreement, intraclass_correlation
from fusion.radiomics.perturb import KINDS, Perturbation
from fusion.records import Case, FeatureTable

_LOG = logging.getLogger(__name__)
_ADVICE = "Mend conf/stability, or the override on the command line."
COLUMNS = ("feature", "icc", "ci_low", "ci_high", "kept")


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Stability of F features.

    Attributes:
        names: (F,) in the table's order.
        agreement: Intraclass correlation of each.
        kept: (F,) whether it is high enough.
        n_cases: Cases that it was measured on.
        n_measurements: Outlines of each case, the cohort's own among them.
    """

    names: tuple[str, ...]
    agreement: Agreement
    kept: NDArray[np.bool_]
    n_cases: int
    n_measurements: int

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the stable features."""
        return tuple(name for name, kept in zip(self.names, self.kept.tolist(), strict=True) if kept)

    def rows(self) -> list[tuple[str, float, float, float, bool]]:
        """A row of ``COLUMNS`` per feature; NaN where a feature does not vary."""
        columns = (self.agreement.icc, self.agreement.low, self.agreement.high, self.kept)
        return list(zip(self.names, *(column.tolist() for column in columns), strict=True))


def measure_stability(
    cases: Sequence[Case], *, radiomics: Mapping[str, Any], stability: Mapping[str, Any], cache_dir: Path
) -> Stability | None:
    """Extract the features of each lesion again under other outlines, and keep those that agree.

    What is extracted is cached, so the folds of a run share it.

    Args:
        cases: The training part's and nobody else's; those without an image or a mask have no part in it.
        radiomics: As in ``conf/radiomics``.
        stability: An option of ``conf/stability``.
        cache_dir: Of the extraction.

    Returns:
        None for the option ``none``, and where no case has an image and a mask: then there is nothing to measure.

    Raises:
        InputError: For options that are wrong, and cases that cannot be extracted.
        FusionError: If no case has a second outline under ``readers``, fewer than two can be measured, or no feature
            is stable.
    """
    complete = [case for case in cases if case.image is not None and case.mask is not None]
    if stability["name"] == "none" or not complete:
        return None
    check_stability(stability)
    tables = measure_again(complete, radiomics=radiomics, stability=stability, cache_dir=cache_dir)
    measured = _judge(tables, form=stability["icc"], min_icc=stability["min_icc"])
    _report(measured, stability)
    return measured


def measure_again(
    cases: Sequence[Case], *, radiomics: Mapping[str, Any], stability: Mapping[str, Any], cache_dir: Path
) -> list[FeatureTable]:
    """The features of the cases that are chosen for it: by the cohort's own outline first, then by every other one.

    A perturbed outline that PyRadiomics refuses (of a tiny lesion) leaves its case out, with a warning.
    """

    def extract(chosen: Sequence[Case], perturbation: Perturbation | None, **changes: str) -> FeatureTable:
        return extract_features(
            chosen, radiomics={**radiomics, **changes}, cache_dir=cache_dir, perturbation=perturbation
        )

    if stability["name"] == "readers":
        twice = [case for case in cases if case.second_mask is not None]
        if not twice:
            raise FusionError(
                f"stability=readers: required a second reader's outline of some training cases, came none of "
                f"{len(cases)}; name its files by cohort.second_mask, or measure with stability=perturbation"
            )
        return [extract(twice, None), extract([replace(case, mask=case.second_mask) for case in twice], None)]
    chosen = _choose(cases, stability["n_cases"], stability["seed"])
    others = [extract(chosen, perturbation, on_error="leave_out") for perturbation in _perturbations(stability)]
    return [extract(chosen, None), *others]


def check_stability(stability: Mapping[str, Any]) -> None:
    """Check an option of ``conf/stability``.

    Raises:
        InputError: With all that is wrong with it.
    """
    if stability["name"] == "none":
        return
    problems = []
    if stability["icc"] not in FORMS:
        problems.append(_problem("icc", f"one of {', '.join(map(repr, FORMS))}", repr(stability["icc"])))
    if not stability["min_icc"] < 1:
        problems.append(_problem("min_icc", "a number below 1", str(stability["min_icc"])))
    if stability["name"] == "perturbation":
        problems += _perturbation_problems(stability)
    if problems:
        raise InputError("Stability", problems, _ADVICE)


def _perturbation_problems(stability: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if not stability["perturbations"]:
        problems.append(_problem("perturbations", "one or more", "none"))
    for number, entry in enumerate(stability["perturbations"]):
        if entry.keys() != {"kind", "size"} or entry["kind"] not in KINDS or not 0 < entry["size"] <= 0.25:
            required = f"a kind of {', '.join(KINDS)} and a size above 0, up to 0.25"
            problems.append(_problem(f"perturbations, entry {number + 1}", required, str(dict(entry))))
    if stability["n_cases"] is not None and stability["n_cases"] < 2:
        problems.append(_problem("n_cases", "2 or more, or null for all", str(stability["n_cases"])))
    return problems


def _perturbations(stability: Mapping[str, Any]) -> list[Perturbation]:
    """Entries that are alike get different draws."""
    seen: Counter[tuple[str, float]] = Counter()
    perturbations = []
    for entry in stability["perturbations"]:
        kind, size = entry["kind"], float(entry["size"])
        perturbations.append(Perturbation(kind=kind, size=size, seed=stability["seed"], number=seen[kind, size]))
        seen[kind, size] += 1
    return perturbations


def _choose(cases: Sequence[Case], n_cases: int | None, seed: int) -> list[Case]:
    """The same cases first in every fold, so that folds share what was extracted; in the order of ``cases``."""

    def rank(case: Case) -> bytes:
        return hashlib.sha256(f"{seed}:{case.case_id}".encode()).digest()

    chosen = {case.case_id for case in sorted(cases, key=rank)[:n_cases]}
    return [case for case in cases if case.case_id in chosen]


def _judge(tables: Sequence[FeatureTable], *, form: str, min_icc: float) -> Stability:
    names = tables[0].names
    known = [case_id for case_id in tables[0].case_ids if all(case_id in table.case_ids for table in tables[1:])]
    if len(known) < 2:
        raise FusionError(
            f"stability: required two or more training cases whose features can be extracted under every outline, "
            f"came {len(known)}; take another measure, or train with stability=none"
        )
    values = np.stack([_aligned(table, known, names) for table in tables], axis=1)
    agreement = intraclass_correlation(values, form=form)
    # NaN is not above anything.
    kept = agreement.icc >= min_icc
    return Stability(names=names, agreement=agreement, kept=kept, n_cases=len(known), n_measurements=len(tables))


def _aligned(table: FeatureTable, case_ids: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
    row = {case_id: i for i, case_id in enumerate(table.case_ids)}
    column = {name: i for i, name in enumerate(table.names)}
    return table.values[np.ix_([row[case_id] for case_id in case_ids], [column[name] for name in names])]


def _report(measured: Stability, stability: Mapping[str, Any]) -> None:
    icc = measured.agreement.icc
    n_constant, n_kept = int(np.isnan(icc).sum()), int(measured.kept.sum())
    if not n_kept:
        best = "none varies" if n_constant == len(icc) else f"the best reaches {np.nanmax(icc):.2f}"
        raise FusionError(
            f"stability.min_icc: required features with an intraclass correlation of {stability['min_icc']:g} or more, "
            f"came none of {len(icc)} ({best}, {measured.n_cases} cases); lower it, or perturb the outline less"
        )
    _LOG.info(
        "%d of %d features are stable (ICC >= %g in %d outlines of %d cases); %d do not vary and are dropped",
        *(n_kept, len(icc), stability["min_icc"], measured.n_measurements, measured.n_cases, n_constant),
    )


def _problem(key: str, required: str, came: str) -> Problem:
    return Problem(where=f"stability.{key}", required=required, came=came)
