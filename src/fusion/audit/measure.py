"""Everything that the audit wants to know of an image, in one reading."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fusion.audit.finding import Box
from fusion.audit.hashes import NO_HASH, hashes
from fusion.audit.lettering import find_words
from fusion.audit.marks import Mark, find_marks
from fusion.audit.tags import identifying_tags
from fusion.errors import InputError, Problem
from fusion.imaging.lesion import Lesion, read_lesion
from fusion.imaging.progress import show_progress
from fusion.imaging.read import read_pixels
from fusion.records import Case

# A hash of fewer pixels says more about the outline than about the tissue.
_MIN_HASHED_SIDE_PX = 24


@dataclass(frozen=True, kw_only=True)
class LesionMeasures:
    """What is known of a lesion.

    Attributes:
        area_px: Pixels of the mask.
        parts_px: Pixels of each connected part (8 neighbors), the largest first.
        borders: Borders of the image that the mask touches.
        marks: Calipers with a pixel in the lesion.
        words: Texts with a pixel in the lesion.
        hash: Of the lesion's bounding box, the same however the image is cut around it.
    """

    area_px: int
    parts_px: tuple[int, ...]
    borders: tuple[str, ...]
    marks: tuple[Mark, ...]
    words: tuple[Box, ...]
    hash: NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What is known of an image.

    Attributes:
        height, width: In pixels.
        brightness: Mean gray value, 0 to 255.
        digest: Sha256 of the decoded pixels.
        hash, mirrored: Perceptual hashes of the image and of its mirror image.
        words: Texts anywhere.
        tags: Identifying DICOM tags with a value.
        lesion: None for a case without a mask.
    """

    height: int
    width: int
    brightness: float
    digest: str
    hash: NDArray[np.uint64]
    mirrored: NDArray[np.uint64]
    words: tuple[Box, ...]
    tags: tuple[str, ...]
    lesion: LesionMeasures | None


def measure_cases(cases: Sequence[Case]) -> tuple[dict[str, Measures], list[Problem]]:
    """Read every image with its mask once, in threads.

    Returns:
        Measures by case id of all that can be used, and what is wrong with the others.
    """
    from joblib import Parallel, delayed

    with_image = [case for case in cases if case.image is not None]
    results: Iterable[Measures | tuple[Problem, ...]] = Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        delayed(_measure_or_problems)(case) for case in with_image
    )
    measured: dict[str, Measures] = {}
    problems: list[Problem] = []
    progress = show_progress(results, total=len(with_image), description="Reading images")
    for case, result in zip(with_image, progress, strict=True):
        if isinstance(result, Measures):
            measured[case.case_id] = result
        else:
            problems += result
    return measured, problems


def _measure_or_problems(case: Case) -> Measures | tuple[Problem, ...]:
    try:
        return measure(case)
    except InputError as error:
        row = f" (case {case.case_id})"
        return tuple(replace(problem, where=problem.where.removesuffix(row) + row) for problem in error.problems)


def measure(case: Case) -> Measures:
    """Read and measure the image of one case.

    Raises:
        InputError: If the image or the mask cannot be used.
        ValueError: If the case has no image.
    """
    if case.image is None:
        raise ValueError(f"case {case.case_id!r} has no image")
    lesion = None if case.mask is None else read_lesion(case)
    pixels = read_pixels(case.image, frame=case.frame) if lesion is None else lesion.pixels
    words = find_words(pixels)
    upright, mirrored = hashes(pixels)
    height, width = pixels.shape
    return Measures(
        height=height,
        width=width,
        brightness=float(pixels.mean(dtype=np.float64)),
        digest=hashlib.sha256(f"{height}x{width}:".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest(),
        hash=upright,
        mirrored=mirrored,
        words=words,
        tags=identifying_tags(case.image, known_as=frozenset({case.case_id, case.patient_id})),
        lesion=None if lesion is None else _measure_lesion(lesion, words),
    )


def _measure_lesion(lesion: Lesion, words: Sequence[Box]) -> LesionMeasures:
    mask = lesion.mask
    parts, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    edges = {"top": mask[0], "bottom": mask[-1], "left": mask[:, 0], "right": mask[:, -1]}
    return LesionMeasures(
        area_px=int(mask.sum()),
        parts_px=tuple(sorted(np.bincount(parts.ravel())[1:].tolist(), reverse=True)),
        borders=tuple(name for name, edge in edges.items() if edge.any()),
        marks=find_marks(lesion.pixels, mask),
        words=tuple(word for word in words if mask[word[0] : word[2], word[1] : word[3]].any()),
        hash=_hash_of_box(lesion),
    )


def _hash_of_box(lesion: Lesion) -> NDArray[np.uint64]:
    rows, columns = (np.flatnonzero(lesion.mask.any(axis=axis))[[0, -1]] + (0, 1) for axis in (1, 0))
    box = lesion.pixels[slice(*rows), slice(*columns)]
    return hashes(box)[0] if min(box.shape) >= _MIN_HASHED_SIDE_PX else NO_HASH
