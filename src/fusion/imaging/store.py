"""Crops of a whole cohort in one memory-mapped file, decoded once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from fusion.errors import InputError, Problem
from fusion.imaging.crop import CROP_VERSION, crop_lesion
from fusion.imaging.digests import file_digests
from fusion.imaging.lesion import read_lesion
from fusion.imaging.problems import ADVICE
from fusion.imaging.progress import show_progress
from fusion.records import Case
from fusion.storage import atomic_path, content_key, file_digest, file_lock

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Images and masks of the cases that have both.

    Attributes:
        case_ids: (N,) in the order of the cases given.
        array: (N, 2, n_px, n_px) read-only memory map, of image and lesion coverage, each 0..255.
        key: Content key: of the files, their frames and labels, and the settings.
    """

    case_ids: tuple[str, ...]
    array: NDArray[np.uint8]
    key: str

    def __contains__(self, case_id: object) -> bool:
        """Whether the case has a crop."""
        return case_id in self._rows

    def index(self, case_id: str) -> int:
        """Row of a case in ``array``.

        Raises:
            KeyError: If the case has no crop.
        """
        return self._rows[case_id]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {case_id: row for row, case_id in enumerate(self.case_ids)}


def open_crops(cases: Sequence[Case], *, imaging: Mapping[str, Any], cache_dir: Path, n_jobs: int) -> Crops:
    """Crops of all cases that have an image and a mask; the other cases are left out.

    What was decoded before, by whichever run, is not decoded again: the file's name is made of the content of images
    and masks, frames, labels and settings. The file is checked against its sha256 and rebuilt where it is damaged.

    Args:
        cases: Of a cohort.
        imaging: ``n_px`` and ``margin`` of `crop_lesion`.
        cache_dir: Made if absent; several processes may use it at once.
        n_jobs: Threads (the decoders release Python's lock); -1 for one per core.

    Raises:
        InputError: Listing every case that can't be read, or a setting that makes no sense.
    """
    margin, n_px = _checked_settings(imaging)
    usable = [case for case in cases if case.image is not None and case.mask is not None]
    key = _key(usable, file_digests(usable, n_jobs), margin, n_px)
    path = cache_dir / f"crops-{key}.npy"
    shape = (len(usable), 2, n_px, n_px)
    # Of several runs that start at once, one decodes.
    with file_lock(path.with_suffix(".lock")):
        if not _is_whole(path, shape):
            _build(path, shape, usable, margin, n_jobs)
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return Crops(case_ids=tuple(case.case_id for case in usable), array=array, key=key)


def _checked_settings(imaging: Mapping[str, Any]) -> tuple[float, int]:
    margin, n_px = imaging["margin"], imaging["n_px"]
    problems = []
    if not isinstance(margin, int | float) or not 0 <= margin < float("inf"):
        problems.append(Problem(where="imaging.margin", required="a fraction of 0 or more", came=repr(margin)))
    if not isinstance(n_px, int) or n_px < 1:
        problems.append(Problem(where="imaging.n_px", required="a number of pixels of 1 or more", came=repr(n_px)))
    if problems:
        raise InputError("imaging settings", problems, "See conf/imaging/default.yaml.")
    return float(margin), n_px


def _key(cases: Sequence[Case], digests: Mapping[Path, str], margin: float, n_px: int) -> str:
    files = [
        (digests[case.image], digests[case.mask], case.frame, case.mask_label)
        for case in cases
        if case.image is not None and case.mask is not None
    ]
    return content_key({"version": CROP_VERSION, "margin": margin, "n_px": n_px, "files": files})


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    sidecar = path.with_suffix(".json")
    if not (path.exists() and sidecar.exists()):
        return False
    try:
        whole = bool(json.loads(sidecar.read_text()) == {"shape": list(shape), "sha256": file_digest(path)})
    except ValueError:
        whole = False
    if not whole:
        _log.warning("%s is damaged; the images are decoded again", path)
    return whole


def _build(path: Path, shape: tuple[int, int, int, int], cases: Sequence[Case], margin: float, n_jobs: int) -> None:
    """Decode into a temporary file as the crops come, so that memory does not grow with the cohort."""
    with atomic_path(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        jobs = (delayed(_decode)(case, margin, shape[-1]) for case in cases)
        decoded = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs)
        problems: list[Problem] = []
        for row, result in enumerate(show_progress(decoded, total=len(cases), description="Reading images")):
            if isinstance(result, InputError):
                problems += result.problems
            else:
                array[row] = result
        if problems:
            raise InputError("images and masks", problems, ADVICE)
        array.flush()
        digest = file_digest(temporary)
    with atomic_path(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps({"shape": shape, "sha256": digest}))


def _decode(case: Case, margin: float, n_px: int) -> NDArray[np.uint8] | InputError:
    try:
        return crop_lesion(read_lesion(case), margin=margin, n_px=n_px)
    except InputError as error:
        return error
