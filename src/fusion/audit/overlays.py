"""Calipers and text that are burned into the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import fisher_exact

from fusion.audit.finding import Box, Finding, Picture, counted
from fusion.audit.marks import Mark
from fusion.audit.measure import Measures
from fusion.records import Case


def burned_in(cases: Sequence[Case], measured: Mapping[str, Measures]) -> list[Finding]:
    """Calipers in the lesion, text in the lesion, and text elsewhere."""
    known = [(case, measured[case.case_id]) for case in cases if case.case_id in measured]
    marks = [(case, one.lesion.marks) for case, one in known if one.lesion is not None and one.lesion.marks]
    inside = [(case, one.lesion.words) for case, one in known if one.lesion is not None and one.lesion.words]
    ids = {case.case_id for case, _ in inside}
    outside = [(case, one.words) for case, one in known if one.words and case.case_id not in ids]
    usable = [case for case, _ in known]
    return [
        *([_marks(marks, usable)] if marks else []),
        *([_words_inside(inside, usable)] if inside else []),
        *([_words_outside(outside, usable)] if outside else []),
    ]


def _marks(rows: Sequence[tuple[Case, tuple[Mark, ...]]], cases: Sequence[Case]) -> Finding:
    by_label, shares = _by_label([case for case, _ in rows], cases)
    return Finding(
        kind="calipers_in_lesion",
        severity="warning",
        where="images",
        found=f"calipers (crosses) in or on the contour of {counted(len(rows), 'lesion')}: {shares}",
        why="They change texture features, and a network can read the reader's measuring in them.",
        advice="Export the images without calipers, or mask them out; compare a model with and without these cases.",
        cases=tuple(case.case_id for case, _ in rows),
        figures=by_label,
        details=tuple({"case": case.case_id, "marks": [_as_json(mark) for mark in marks]} for case, marks in rows),
        pictures=tuple(
            (
                Picture(
                    case_id=case.case_id,
                    caption=counted(len(marks), "cross", "crosses"),
                    boxes=tuple(_box(mark) for mark in marks),
                    whole=False,
                ),
            )
            for case, marks in rows
        ),
    )


def _words_inside(rows: Sequence[tuple[Case, tuple[Box, ...]]], cases: Sequence[Case]) -> Finding:
    by_label, shares = _by_label([case for case, _ in rows], cases)
    return Finding(
        kind="text_in_lesion",
        severity="warning",
        where="images",
        found=f"burned-in text in {counted(len(rows), 'lesion')}: {shares}",
        why="It changes texture features, and a network can learn to read it.",
        advice="Export the images without annotations, or take these cases out.",
        figures=by_label,
        **_words(rows, whole=False),
    )


def _words_outside(rows: Sequence[tuple[Case, tuple[Box, ...]]], cases: Sequence[Case]) -> Finding:
    by_label, shares = _by_label([case for case, _ in rows], cases)
    return Finding(
        kind="text_in_image",
        severity="note",
        where="images",
        found=f"burned-in text outside of the lesion in {counted(len(rows), 'image')}: {shares}",
        why="It may hold a name, an age or an intervention; what lies near the lesion enters the crop.",
        advice="Read it before the images are shared; black it out where it identifies anybody.",
        figures=by_label,
        **_words(rows, whole=True),
    )


def _words(rows: Sequence[tuple[Case, tuple[Box, ...]]], *, whole: bool) -> dict[str, Any]:
    return {
        "cases": tuple(case.case_id for case, _ in rows),
        "details": tuple({"case": case.case_id, "boxes": [list(box) for box in boxes]} for case, boxes in rows),
        "pictures": tuple(
            (Picture(case_id=case.case_id, caption=counted(len(boxes), "word"), boxes=boxes, whole=whole),)
            for case, boxes in rows
        ),
    }


def _by_label(having: Sequence[Case], cases: Sequence[Case]) -> tuple[dict[str, Any], str]:
    """Patients with and without, by label, and the same in words with Fisher's exact test of two labels."""
    with_it = {case.patient_id for case in having}
    label_of = {case.patient_id: case.label for case in cases if case.label is not None}
    counts = {
        label: [
            sum(known == label and (patient in with_it) == has for patient, known in label_of.items())
            for has in (True, False)
        ]
        for label in dict.fromkeys(label_of.values())
    }
    p = float(fisher_exact(list(counts.values())).pvalue) if len(counts) == 2 else None
    shares = ", ".join(f"{label} {n / (n + rest):.0%}" for label, (n, rest) in sorted(counts.items()))
    figures = {"n": len(having), "patients_with_and_without_by_label": counts, "fisher_p": p}
    return figures, f"patients {shares}{'' if p is None else f' (p = {p:.2g})'}"


def _as_json(mark: Mark) -> dict[str, Any]:
    return {
        "shape": mark.shape,
        "row": mark.row,
        "column": mark.column,
        "half_length_px": mark.half_length,
        "correlation": round(mark.correlation, 3),
    }


def _box(mark: Mark) -> Box:
    reach = mark.half_length
    return mark.row - reach, mark.column - reach, mark.row + reach + 1, mark.column + reach + 1
