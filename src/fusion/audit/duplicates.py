"""Images of different patients that are nearly the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from fusion.audit.finding import Finding, Picture, counted
from fusion.audit.hashes import N_BITS, near_pairs
from fusion.audit.measure import Measures
from fusion.records import Case

# Of 256 bits. Chosen by looking: the nearest images of different patients are 84 bits apart in BrEaST and 72 in
# BUS-BRA (640,000 pairs), and all of those nearest pairs are different pictures; the same picture saved again (JPEG at
# quality 20, half the size, gamma 0.7 to 1.4, noise, calipers added) is at most 36 apart, with 1 % cut off at most 26,
# with 2 % cut off 34 in the median and 54 at most.
_MAX_DISTANCE = 48


def duplicate_images(cases: Sequence[Case], measured: Mapping[str, Measures]) -> list[Finding]:
    """Pairs with equal pixels, or with nearly equal perceptual hashes of the image, its mirror image or the lesion."""
    usable = [case for case in cases if case.case_id in measured]
    pairs = [
        (usable[i], usable[j], how, distance)
        for (i, j), (how, distance) in sorted(_pairs([measured[case.case_id] for case in usable]).items())
        if usable[i].patient_id != usable[j].patient_id
    ]
    apart = [pair for pair in pairs if pair[0].label != pair[1].label]
    alike = [pair for pair in pairs if pair[0].label == pair[1].label]
    return [
        *([_finding(apart, disagree=True)] if apart else []),
        *([_finding(alike, disagree=False)] if alike else []),
    ]


def _pairs(measures: Sequence[Measures]) -> dict[tuple[int, int], tuple[str, int]]:
    """Pairs of rows, with how they are the same and the bits by which they differ; the surest reason wins."""
    images = [one.hash for one in measures]
    mirrored = [one.mirrored for one in measures]
    with_lesion = [(row, one.lesion.hash) for row, one in enumerate(measures) if one.lesion is not None]
    rows = [row for row, _ in with_lesion]
    lesions = [of_lesion for _, of_lesion in with_lesion]
    found: dict[tuple[int, int], tuple[str, int]] = {}
    for (i, j), distance in near_pairs(lesions, lesions, max_distance=_MAX_DISTANCE).items():
        found[rows[i], rows[j]] = "the lesions are nearly the same", distance
    for how, others in (("one is the mirror image of the other", mirrored), ("nearly the same", images)):
        for pair, distance in near_pairs(images, others, max_distance=_MAX_DISTANCE).items():
            found[pair] = how, distance
    return found | dict.fromkeys(_equal([one.digest for one in measures]), ("the same pixels", 0))


def _equal(digests: Sequence[str]) -> list[tuple[int, int]]:
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        rows_of[digest].append(row)
    return [(rows[i], row) for rows in rows_of.values() for k, row in enumerate(rows) for i in range(k)]


def _finding(pairs: Sequence[tuple[Case, Case, str, int]], *, disagree: bool) -> Finding:
    n_same = sum(how == "the same pixels" for _, _, how, _ in pairs)
    which = "different outcomes" if disagree else "the same outcome"
    of = f"of two patients with {which}"
    return Finding(
        kind="duplicate_images_with_different_labels" if disagree else "duplicate_images",
        severity="error" if disagree else "warning",
        where="images",
        found=f"{counted(len(pairs), 'pair')} of nearly the same image {of}, {n_same} with the same pixels",
        why="One of the two outcomes is wrong."
        if disagree
        else "A split by patient puts one into training and one into the test: the test figure is too good.",
        advice="Look at the pairs; give one patient id to what is one patient, and take wrong rows out of the table.",
        cases=tuple(dict.fromkeys(case.case_id for pair in pairs for case in pair[:2])),
        figures={"n_pairs": len(pairs), "n_same_pixels": n_same, "n_bits": N_BITS, "max_distance": _MAX_DISTANCE},
        details=tuple(
            {
                "cases": [first.case_id, second.case_id],
                "patients": [first.patient_id, second.patient_id],
                "labels": [first.label, second.label],
                "how": how,
                "distance": distance,
            }
            for first, second, how, distance in pairs
        ),
        pictures=tuple(
            tuple(
                Picture(case_id=case.case_id, caption=f"patient {case.patient_id}, {case.label}; {how}")
                for case in (first, second)
            )
            for first, second, how, _ in pairs
        ),
    )
