"""Centers whose images differ in brightness or size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kruskal
from statsmodels.stats.multitest import multipletests

from fusion.audit.finding import Finding
from fusion.audit.measure import Measures
from fusion.records import Case

_ALPHA = 0.05
# Rea & Parker 2014: .04 moderate, .16 relatively strong (for V and, by its square, for epsilon squared).
_MODERATE, _STRONG = 0.04, 0.16
_MIN_PATIENTS = 5
_MEASURES: dict[str, Callable[[Measures], float | None]] = {
    "image height (pixels)": lambda one: float(one.height),
    "image width (pixels)": lambda one: float(one.width),
    "mean brightness (0 to 255)": lambda one: one.brightness,
    "lesion area (pixels)": lambda one: None if one.lesion is None else float(one.lesion.area_px),
}


def shifts_between_centers(cases: Sequence[Case], measured: Mapping[str, Measures]) -> list[Finding]:
    """Measures of the images that differ between centers, by Kruskal-Wallis, Holm over the measures.

    A patient counts once, with the mean of the images. Centers with fewer than five patients are left out. The effect
    is epsilon squared, H / (n - 1): the share of the ranks' variance that the centers explain, 0 to 1.
    """
    tested = {}
    for name, measure in _MEASURES.items():
        groups = _groups(cases, measured, measure)
        if len(groups) > 1 and len(np.unique(np.concatenate(list(groups.values())))) > 1:
            tested[name] = groups, kruskal(*groups.values())
    if not tested:
        return []
    adjusted = multipletests([test.pvalue for _, test in tested.values()], method="holm")[1]
    findings = []
    for (name, (groups, test)), p in zip(tested.items(), adjusted.tolist(), strict=True):
        effect = float(test.statistic) / (sum(map(len, groups.values())) - 1)
        if p < _ALPHA and effect >= _MODERATE:
            findings.append(_finding(name, groups, effect=effect, p=p))
    return findings


def _groups(
    cases: Sequence[Case], measured: Mapping[str, Measures], measure: Callable[[Measures], float | None]
) -> dict[str, NDArray[np.float64]]:
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for case in cases:
        if case.case_id in measured and (value := measure(measured[case.case_id])) is not None:
            values[case.center, case.patient_id].append(value)
    groups: dict[str, list[float]] = defaultdict(list)
    for (center, _), of_patient in values.items():
        groups[center].append(float(np.mean(of_patient)))
    return {center: np.array(of) for center, of in sorted(groups.items()) if len(of) >= _MIN_PATIENTS}


def _finding(name: str, groups: Mapping[str, NDArray[np.float64]], *, effect: float, p: float) -> Finding:
    details: list[dict[str, Any]] = []
    for center, values in groups.items():
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        details.append({"center": center, "n": len(values), "median": middle, "q1": low, "q3": high})
    medians = ", ".join(f"{row['center']} {row['median']:.0f}" for row in details)
    return Finding(
        kind="shift_between_centers",
        severity="warning" if effect >= _STRONG else "note",
        where=name,
        found=f"differs between centers (medians: {medians}; epsilon² {effect:.2f}, p = {p:.2g})",
        why="A model can tell the center by it, and with it the center's prevalence; it may fail in another center.",
        advice="Judge the model by split=leave_one_center_out, and look at its figures by center.",
        figures={"epsilon_squared": effect, "p_holm": p, "test": "Kruskal-Wallis, one value per patient"},
        details=tuple(details),
    )
