"""What identifies the files of a cohort: part of every cache key and of a run's manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, delayed

from fusion.errors import InputError, Problem
from fusion.imaging.problems import ADVICE
from fusion.records import Case
from fusion.storage import file_digest


def file_digests(cases: Sequence[Case], n_jobs: int) -> dict[Path, str]:
    """Sha256 of every image and mask of the cases, in their order, as 64 hex digits. Hashing runs in threads.

    Raises:
        InputError: Listing every file that is absent or can't be read.
    """
    owners: dict[Path, Case] = {}
    for case in cases:
        for path in (case.image, case.mask):
            if path is not None:
                owners.setdefault(path, case)
    paths = tuple(owners)
    found = Parallel(n_jobs=n_jobs, prefer="threads")(delayed(_digest)(path) for path in paths)
    problems = [
        Problem(where=f"{path} (case {owners[path].case_id})", required="a readable file", came=_reason(result))
        for path, result in zip(paths, found, strict=True)
        if isinstance(result, OSError)
    ]
    if problems:
        raise InputError("images and masks", problems, ADVICE)
    return dict(zip(paths, found, strict=True))


def _digest(path: Path) -> str | OSError:
    try:
        return file_digest(path)
    except OSError as error:
        return error


def _reason(error: OSError) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else error.strerror or type(error).__name__
