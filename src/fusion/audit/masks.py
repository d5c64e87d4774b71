"""Masks that may not show the lesion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fusion.audit.finding import Finding, Picture, counted
from fusion.audit.measure import LesionMeasures, Measures
from fusion.records import Case

# 14 x 14 pixels: the smallest lesion of BUS-BRA has 528. Texture matrices of fewer pixels are nearly empty.
_MIN_AREA_PX = 200
# The smallest of both real cohorts is 0.6 % of its image.
_MIN_SHARE = 0.001
# The largest of both real cohorts is 57 %.
_MAX_SHARE = 0.8

_Row = tuple[Case, Measures, LesionMeasures]


def odd_masks(cases: Sequence[Case], measured: Mapping[str, Measures]) -> list[Finding]:
    """Masks that touch the border, are tiny, cover nearly everything, or have several parts."""
    rows = [
        (case, measures, measures.lesion)
        for case in cases
        if (measures := measured.get(case.case_id)) is not None and measures.lesion is not None
    ]
    kinds = (_touching, _tiny, _nearly_everything, _several_parts)
    return [finding for kind in kinds if (finding := kind(rows)) is not None]


def _touching(rows: Sequence[_Row]) -> Finding | None:
    return _finding(
        [row for row in rows if row[2].borders],
        lambda _, lesion: {"borders": list(lesion.borders)},
        lambda detail: f"touches {', '.join(detail['borders'])}",
        kind="mask_touches_border",
        found="{n} touching the border of the image",
        why="The lesion may go on outside of the image; its size and shape are then those of the cut.",
        advice="Look at them; take the cases out if the lesion is cut off, or expect wrong shape features.",
    )


def _tiny(rows: Sequence[_Row]) -> Finding | None:
    return _finding(
        [row for row in rows if row[2].area_px < max(_MIN_AREA_PX, _MIN_SHARE * row[1].height * row[1].width)],
        _area,
        lambda detail: f"{detail['area_px']} pixels, {detail['share']:.2%} of the image",
        kind="tiny_mask",
        found=f"{{n}} below {_MIN_AREA_PX} pixels or {_MIN_SHARE:.1%} of the image",
        why="Texture features of so few pixels are noise, and the crop is mostly interpolation; it may be a stray dot.",
        advice="Look at them; draw the mask anew, or use the image at its full resolution.",
    )


def _nearly_everything(rows: Sequence[_Row]) -> Finding | None:
    return _finding(
        [row for row in rows if row[2].area_px > _MAX_SHARE * row[1].height * row[1].width],
        _area,
        lambda detail: f"{detail['share']:.0%} of the image",
        kind="mask_covers_image",
        found=f"{{n}} covering more than {_MAX_SHARE:.0%} of the image",
        why="Background and lesion are often exchanged in such masks.",
        advice="Look at them; invert the mask, or set cohort.mask_label to the value of the lesion.",
    )


def _several_parts(rows: Sequence[_Row]) -> Finding | None:
    return _finding(
        [row for row in rows if len(row[2].parts_px) > 1],
        lambda _, lesion: {"parts_px": list(lesion.parts_px)},
        lambda detail: f"parts of {', '.join(map(str, detail['parts_px'][:6]))} pixels",
        kind="mask_with_several_parts",
        found="{n} with several parts",
        why="Shape features and the crop are those of all parts together; small parts are often slips of the pen.",
        advice="Look at them; delete stray parts. Of several lesions keep the largest, or give each a row.",
    )


def _area(measures: Measures, lesion: LesionMeasures) -> dict[str, Any]:
    return {"area_px": lesion.area_px, "share": lesion.area_px / (measures.height * measures.width)}


def _finding(
    rows: Sequence[_Row],
    detail_of: Callable[[Measures, LesionMeasures], dict[str, Any]],
    caption_of: Callable[[Mapping[str, Any]], str],
    *,
    found: str,
    **texts: str,
) -> Finding | None:
    if not rows:
        return None
    details = [{"case": case.case_id, **detail_of(measures, lesion)} for case, measures, lesion in rows]
    return Finding(
        severity="warning",
        where="masks",
        found=found.format(n=counted(len(rows), "mask")),
        cases=tuple(case.case_id for case, _, _ in rows),
        figures={"n": len(rows)},
        details=tuple(details),
        pictures=tuple((Picture(case_id=detail["case"], caption=caption_of(detail)),) for detail in details),
        **texts,
    )
