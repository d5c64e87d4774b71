"""The explanations of pixels as tables, and as a picture a case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from fusion.explanation.lesion_share import REGIONS
from fusion.explanation.overlay import Panel, write_panels
from fusion.explanation.pixels import PixelExplanations, PixelMap
from fusion.explanation.thumbnails import write_overlay_thumbnail
from fusion.imaging.store import Crops
from fusion.runs.tables import write_rows

TITLES = {"integrated_gradients": "Integrated gradients", "grad_cam": "Grad-CAM", "occlusion": "Occlusion"}
CASES = "pixels.csv"
CHECKS = "pixel_checks.csv"
_CASES_HEADER = (
    "case_id",
    "fold",
    "method",
    *(f"{what}_{region}" for what in ("share", "area", "ratio") for region in REGIONS),
    "completeness_error",
    "deletion",
    "deletion_random",
    "insertion",
    "insertion_random",
    "similarity_randomized",
)
_CHECKS_HEADER = (
    "fold",
    "method",
    "n_cases",
    "completeness_error",
    "completeness_error_bar",
    "deletion_gain",
    "deletion_p",
    "insertion_gain",
    "insertion_p",
    "p_bar",
    "similarity_randomized",
    "similarity_randomized_bar",
    "verdict",
)


def write_pixels(
    out_dir: Path,
    images_dir: Path,
    explained: PixelExplanations,
    *,
    captions: Sequence[str],
    crops: Crops,
) -> None:
    """Write ``pixels.csv`` (a row a case and method), ``pixel_checks.csv`` (a row a method), and ``<case_id>.png``.

    Args:
        out_dir: Folder of the tables.
        images_dir: Folder of the pictures.
        explained: What is written.
        captions: (N,) of the pictures of the explained cases.
        crops: That hold the cases.
    """
    write_rows(out_dir / CASES, _CASES_HEADER, _case_rows(explained))
    write_rows(out_dir / CHECKS, _CHECKS_HEADER, _check_rows(explained))
    for row, (case, caption) in enumerate(zip(explained.cases, captions, strict=True)):
        image, mask = crops.array[crops.index(case.case_id)]
        write_overlay_thumbnail(
            images_dir.parent / "thumbnails" / "overlays",
            case.case_id,
            image=np.array(image),
            mask=np.array(mask),
            pixels=next(iter(explained.maps.values()))[row].values,
        )
        # Its id is no part of the picture: who hides ids renames files.
        write_panels(
            # An id may hold what a file name may not.
            images_dir / f"{quote(case.case_id, safe=' ')}.png",
            image=np.array(image),
            mask=np.array(mask),
            panels=[_panel(method, explained, row) for method in explained.maps],
            positive=explained.positive,
            caption=caption,
        )


def _panel(method: str, explained: PixelExplanations, row: int) -> Panel:
    found, verdict = explained.maps[method][row], explained.verdicts[method]
    share, area = found.share.attribution[0], found.share.area[0]
    where = "the same everywhere" if math.isnan(share) else f"{share:.0%} in the lesion, {area:.0%} of the area"
    return Panel(title=f"{TITLES[method]}\n{where}", values=found.values, note=f"In this fold {verdict}")


def _case_rows(explained: PixelExplanations) -> Iterator[tuple[object, ...]]:
    for method, maps in explained.maps.items():
        for case, found in zip(explained.cases, maps, strict=True):
            yield (case.case_id, explained.fold, method, *(_known(value) for value in _figures(found)))


def _figures(found: PixelMap) -> tuple[float | None, ...]:
    share, checks = found.share, found.checks
    return (
        *share.attribution.tolist(),
        *share.area.tolist(),
        *share.ratio.tolist(),
        checks.completeness_error,
        checks.areas.deletion,
        checks.areas.deletion_random,
        checks.areas.insertion,
        checks.areas.insertion_random,
        checks.similarity_randomized,
    )


def _check_rows(explained: PixelExplanations) -> Iterator[tuple[object, ...]]:
    bars = explained.bars
    for method, verdict in explained.verdicts.items():
        has_sum = verdict.completeness_error is not None
        yield (
            explained.fold,
            method,
            verdict.n_cases,
            _known(verdict.completeness_error),
            bars["completeness_error"] if has_sum else "",
            verdict.deletion_gain,
            verdict.deletion_p,
            verdict.insertion_gain,
            verdict.insertion_p,
            bars["p"],
            _known(verdict.similarity_randomized),
            bars["similarity_randomized"],
            str(verdict),
        )


def _known(value: float | None) -> float | str:
    """What does not exist stays empty."""
    return "" if value is None or math.isnan(value) else value
