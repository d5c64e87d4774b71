"""From the cases of a cohort to their radiomics features."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fusion.errors import InputError, Problem
from fusion.radiomics.cache import case_key, load_features, store_features
from fusion.radiomics.parallel import run_tasks
from fusion.radiomics.perturb import Perturbation
from fusion.radiomics.settings import check_options, check_settings
from fusion.records import Case, FeatureTable
from fusion.storage import content_key, file_digest, file_lock

_LOG = logging.getLogger(__name__)

# What came of a case: its features, or the reason why it has none.
Outcome = dict[str, float] | str


def extract_features(
    cases: Sequence[Case],
    *,
    radiomics: Mapping[str, Any],
    cache_dir: Path,
    perturbation: Perturbation | None = None,
) -> FeatureTable:
    """Radiomics features of all cases that have an image and a mask, computed or found in the cache.

    A case's features are kept as soon as they are computed, so a run that is killed is taken up where it was, and two
    runs at once share their work. A feature that cannot be calculated for a case is NaN in the table.

    Args:
        cases: Those without an image or a mask get no row.
        radiomics: As in ``conf/radiomics``: ``mode``, ``settings`` (PyRadiomics' own schema), ``n_jobs``,
            ``backend``, and ``on_error``: ``stop`` raises after all other cases were kept in the cache,
            ``leave_out`` logs a warning and gives the failed cases no row.
        cache_dir: Folder of the cache; may be shared with other cohorts, settings and processes.
        perturbation: Of every mask; None leaves them as they are.

    Returns:
        Rows in the order of ``cases``, columns in PyRadiomics' order.

    Raises:
        InputError: For settings that are wrong, and for all failed cases together, by id and reason, under ``stop``
            or where no case is left.
        FusionError: Where something has to be computed and PyRadiomics is absent.
    """
    check_options(radiomics)
    complete = [case for case in cases if case.image is not None and case.mask is not None]
    outcomes, jobs = _look_up(complete, radiomics, perturbation, cache_dir.absolute())
    if jobs:
        check_settings(radiomics["settings"])
        # Of several runs that start at once, one computes; the others find it kept.
        with file_lock(cache_dir / f"radiomics-{content_key([case.case_id for case in complete])}.lock"):
            found = run_tasks(
                extract_case,
                jobs,
                backend=radiomics["backend"],
                n_jobs=radiomics["n_jobs"],
                title="Radiomics" if perturbation is None else f"Radiomics, {perturbation}",
            )
        outcomes |= {job.case.case_id: outcome for job, outcome in zip(jobs, found, strict=True)}
    _report_failures(outcomes, radiomics["on_error"], perturbation)
    return _table([(case.case_id, outcomes[case.case_id]) for case in complete])


@dataclass(frozen=True, kw_only=True)
class Job:
    """A case to be computed, with all that a worker on another machine needs."""

    case: Case
    key: str
    cache_dir: Path
    mode: str
    settings: Mapping[str, Any]
    perturbation: Perturbation | None


def extract_case(job: Job) -> Outcome:
    """Compute and keep one case's features, or give the reason why there are none; runs in a worker."""
    # Another process may have come to this case first.
    known = load_features(job.cache_dir, job.key)
    if known is not None:
        return known
    from fusion.imaging.lesion import read_lesion
    from fusion.radiomics.calculate import calculate_features, library_versions

    try:
        lesion = read_lesion(job.case)
        mask = lesion.mask if job.perturbation is None else job.perturbation.apply(lesion.mask, job.case.case_id)
        features = calculate_features(lesion.pixels, mask, mode=job.mode, settings=job.settings)
    # One broken case must not cost the others their hours, whatever PyRadiomics or a decoder makes of it.
    except Exception as error:
        return _reason(error)
    store_features(job.cache_dir, job.key, features, versions=library_versions())
    return features


def _look_up(
    cases: Sequence[Case], radiomics: Mapping[str, Any], perturbation: Perturbation | None, cache_dir: Path
) -> tuple[dict[str, Outcome], list[Job]]:
    """What the cache knows by case id, and the jobs that are left."""
    outcomes: dict[str, Outcome] = {}
    jobs = []
    # A multi-frame image is the file of many cases.
    digest_of = cache(file_digest)
    for case in cases:
        try:
            key = case_key(case, radiomics=radiomics, perturbation=perturbation, digest_of=digest_of)
        except OSError as error:
            outcomes[case.case_id] = _reason(error)
            continue
        features = load_features(cache_dir, key)
        if features is not None:
            outcomes[case.case_id] = features
        else:
            jobs.append(_job(case, key, radiomics, perturbation, cache_dir))
    return outcomes, jobs


def _job(case: Case, key: str, radiomics: Mapping[str, Any], perturbation: Perturbation | None, cache_dir: Path) -> Job:
    assert case.image is not None
    assert case.mask is not None
    # A worker may start in another folder, and has no business with what is known of the patient.
    lean = replace(case, image=case.image.absolute(), mask=case.mask.absolute(), label=None, clinical={})
    mode, settings = radiomics["mode"], radiomics["settings"]
    return Job(case=lean, key=key, cache_dir=cache_dir, mode=mode, settings=settings, perturbation=perturbation)


def _reason(error: Exception) -> str:
    if isinstance(error, InputError):
        return "; ".join(f"{problem}" for problem in error.problems)
    return f"{type(error).__name__}: {error}"


def _report_failures(outcomes: Mapping[str, Outcome], on_error: str, perturbation: Perturbation | None) -> None:
    outline = "" if perturbation is None else f", outline perturbed by {perturbation}"
    problems = [
        Problem(where=f"case {case_id}{outline}", required="radiomics features", came=outcome)
        for case_id, outcome in outcomes.items()
        if isinstance(outcome, str)
    ]
    if not problems:
        return
    if on_error == "stop" or len(problems) == len(outcomes):
        advice = "Mend these cases, or give them no radiomics branch with radiomics.on_error=leave_out."
        raise InputError("Radiomics extraction", problems, advice)
    lost = "without a radiomics branch" if perturbation is None else "out of the measure of stability"
    for problem in problems:
        _LOG.warning("%s; the case is left %s", problem, lost)


def _table(outcomes: Sequence[tuple[str, Outcome]]) -> FeatureTable:
    rows = {case_id: outcome for case_id, outcome in outcomes if not isinstance(outcome, str)}
    names = tuple(next(iter(rows.values()), {}))
    values = np.array([[row[name] for name in names] for row in rows.values()], dtype=np.float64)
    return FeatureTable(case_ids=tuple(rows), names=names, values=values.reshape(len(rows), len(names)))
