"""Who is in the cohort: centers, labels, images."""

from __future__ import annotations

from collections import Counter

from scipy.stats import chi2_contingency

from fusion.audit.finding import Finding, counted, listed
from fusion.records import Case, Cohort

_MIN_PATIENTS = 20
_MIN_PER_LABEL = 5
_ALPHA = 0.05


def composition(cohort: Cohort) -> list[Finding]:
    """Centers with one label or few patients, prevalence by center, patients with several images, cases without."""
    counts = _labels_by_center(cohort)
    findings = [*_one_label(counts), *_few(counts), *_prevalence(counts), *_several_images(cohort)]
    without_image = [case for case in cohort.cases if case.image is None]
    without_mask = [case for case in cohort.cases if case.image is not None and case.mask is None]
    findings += _without(without_image, "image", "the image and the radiomics branch") if without_image else []
    findings += _without(without_mask, "mask", "the radiomics branch and the crop") if without_mask else []
    return findings


def _labels_by_center(cohort: Cohort) -> dict[str, dict[str, int]]:
    """Patients by center and label, those without a label left out."""
    found = Counter((cases[0].center, cases[0].label) for cases in cohort.patients.values())
    centers = sorted({case.center for case in cohort.cases})
    return {center: {label: found[center, label] for label in cohort.label_names} for center in centers}


def _one_label(counts: dict[str, dict[str, int]]) -> list[Finding]:
    return [
        Finding(
            kind="center_with_one_label",
            severity="warning",
            where=center,
            found=f"all {counted(sum(labels.values()), 'patient')} {next(name for name, n in labels.items() if n)}",
            why="Whatever tells this center from the others predicts the outcome; no AUC can be computed in it.",
            advice="Collect the other outcome there, or leave the center out.",
            figures={"patients": labels},
        )
        for center, labels in counts.items()
        if sum(n > 0 for n in labels.values()) == 1
    ]


def _few(counts: dict[str, dict[str, int]]) -> list[Finding]:
    return [
        Finding(
            kind="center_with_few_patients",
            severity="note",
            where=center,
            found=f"{counted(sum(labels.values()), 'patient')}: {_shown(labels)}",
            why=f"Figures of fewer than {_MIN_PATIENTS} patients, or {_MIN_PER_LABEL} of a label, say next to nothing.",
            advice="Read its figures with their intervals, or join it with a center of the same kind.",
            figures={"patients": labels},
        )
        for center, labels in counts.items()
        if sum(labels.values()) < _MIN_PATIENTS or min(labels.values()) < _MIN_PER_LABEL
    ]


def _prevalence(counts: dict[str, dict[str, int]]) -> list[Finding]:
    rows = [list(labels.values()) for labels in counts.values() if sum(labels.values())]
    if len(rows) < 2 or not all(map(sum, zip(*rows, strict=True))):
        return []
    p = float(chi2_contingency(rows).pvalue)
    if p >= _ALPHA:
        return []
    positive = list(next(iter(counts.values())))[-1]
    shares = ", ".join(
        f"{center} {labels[positive] / n:.0%}" for center, labels in counts.items() if (n := sum(labels.values()))
    )
    return [
        Finding(
            kind="prevalence_differs_between_centers",
            severity="note",
            where="centers",
            found=f"share of {positive}: {shares} (chi-square, p = {p:.2g})",
            why="A model that only tells the centers apart is better than chance in the pooled figures.",
            advice="Look at the figures by center; split=leave_one_center_out.",
            figures={"patients": counts, "p": p},
        )
    ]


def _several_images(cohort: Cohort) -> list[Finding]:
    several = {patient: cases for patient, cases in cohort.patients.items() if len(cases) > 1}
    if not several:
        return []
    most = max(map(len, several.values()))
    return [
        Finding(
            kind="patients_with_several_images",
            severity="note",
            where="patients",
            found=f"{len(several)} of {len(cohort.patients)} patients have several images, up to {most}",
            why="Images of a patient resemble each other; splits and figures are by patient.",
            advice="Nothing, if cohort.patient names the right column.",
            figures={"n_patients_by_n_images": {str(n): k for n, k in sorted(_sizes(cohort).items())}},
            details=tuple(
                {"patient": patient, "cases": [case.case_id for case in cases]} for patient, cases in several.items()
            ),
        )
    ]


def _sizes(cohort: Cohort) -> Counter[int]:
    return Counter(len(cases) for cases in cohort.patients.values())


def _without(cases: list[Case], what: str, loses: str) -> list[Finding]:
    ids = tuple(case.case_id for case in cases)
    return [
        Finding(
            kind=f"no_{what}",
            severity="note",
            where=f"{what}s",
            found=f"{counted(len(ids), 'case')} without {'an image' if what == 'image' else 'a mask'}: {listed(ids)}",
            why=f"They do without {loses}.",
            advice="Fill in the cells of the table if the files exist.",
            cases=ids,
            figures={"n": len(ids), "by_label": dict(Counter(str(case.label) for case in cases))},
        )
    ]


def _shown(labels: dict[str, int]) -> str:
    return ", ".join(f"{n} {label}" for label, n in labels.items())
