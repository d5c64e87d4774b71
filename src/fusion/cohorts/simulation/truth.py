"""What the simulation knows of its cohort, for tests of models and of attributions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fusion.cohorts.simulation.outcome import intercepts_of, separation
from fusion.cohorts.simulation.patient import Patient
from fusion.cohorts.simulation.settings import Simulation

FACTORS = ("texture", "shape", "clinical")
_TEXTURE_CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")


def describe_truth(settings: Simulation, patients: Mapping[str, Patient]) -> dict[str, Any]:
    """The cohort's truth, as plain content.

    Args:
        settings: The cohort's.
        patients: By id.

    Returns:
        ``settings`` (without those that are null); ``intercepts`` by center; ``factors``: each one's weight (logit
        per standard deviation), what carries it in the inputs, and the AUC of the factor itself, signed by its weight;
        ``auc``: of the true probability (``bayes``: no model can do better but by chance) and of the center's
        intercept alone; ``patients``: by id, the factors, logit, probability and label. An AUC is higher for a better
        separation, and None where all patients have the same label.
    """
    positive = [patient.label == settings.labels[1] for patient in patients.values()]
    weights = asdict(settings.weights)
    intercepts = intercepts_of(settings)

    def auc_of(name: str) -> float | None:
        return separation([weights[name] * getattr(patient, name) for patient in patients.values()], positive)

    carriers = _carriers(settings)
    return {
        "settings": asdict(settings, dict_factory=_given),
        "intercepts": intercepts,
        "factors": {
            name: {"weight": weights[name], "auc": auc_of(name), "carriers": carriers[name]} for name in FACTORS
        },
        "auc": {
            "bayes": separation([patient.probability for patient in patients.values()], positive),
            "center": separation([intercepts[patient.center] for patient in patients.values()], positive),
        },
        "patients": {patient_id: _plain(patient) for patient_id, patient in patients.items()},
    }


def _given(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in fields if value is not None}


def _plain(patient: Patient) -> dict[str, Any]:
    return {name: value for name, value in asdict(patient).items() if name != "row"}


def _carriers(settings: Simulation) -> dict[str, dict[str, Any]]:
    """Where each factor can be seen: in the image, in which PyRadiomics classes, in which clinical columns.

    A column's number is its correlation with the factor before it is cut into words (of the shape's reading, the
    reader's agreement; of another finding's, its loading times the agreement); columns that are not named are noise,
    or describe what has no part in the outcome. The classes of the texture know a little of the shape too: runs, zones
    and neighborhoods end at the mask's border.
    """
    agreement = settings.findings.shape.agreement
    loadings = {name: column.loading for name, column in settings.numbers.items() if column.loading}
    loadings |= {name: column.loading for name, column in settings.categories.items() if column.loading}
    shown = {name: loading for name, loading in (settings.finding_loadings or {}).items() if loading}
    readings = {name: loading * getattr(settings.findings, name).agreement for name, loading in shown.items()}
    return {
        "texture": {
            "image": "density of the scatterers inside the lesion, at the same mean level",
            "radiomics": list(_TEXTURE_CLASSES),
            "clinical": {},
        },
        "shape": {
            "image": "irregularity of the lesion's contour, at the same area; in the mask too",
            "radiomics": ["shape2D"],
            "clinical": {"shape": agreement} if agreement else {},
        },
        "clinical": {
            "image": f"{', '.join(shown)} of the lesion" if shown else None,
            "radiomics": list(_TEXTURE_CLASSES) if shown else [],
            "clinical": loadings | readings,
        },
    }
