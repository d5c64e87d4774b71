"""One patient from one seed: factors, outcome, clinical row, picture and mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.cohorts.simulation.acoustics import bmode
from fusion.cohorts.simulation.anatomy import Traits, draw_medium
from fusion.cohorts.simulation.chart import draw_quantiles, draw_row, level_at
from fusion.cohorts.simulation.outcome import logit_of, probability_of
from fusion.cohorts.simulation.outline import draw_outline, drawn_by_reader
from fusion.cohorts.simulation.settings import Finding, Simulation


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is known of a patient, and what only the simulation knows.

    Attributes:
        center: Name.
        texture, shape, clinical: The factors of the outcome, standard normal and independent.
        logit, probability: Of the positive outcome, as the factors and the center make it.
        label: Drawn with that probability.
        row: The clinical row.
    """

    center: str
    texture: float
    shape: float
    clinical: float
    logit: float
    probability: float
    label: str
    row: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Picture and reader's mask, each (depth_px, width_px), 0 to 255; the mask is 0 or 255."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def simulate_patient(
    settings: Simulation, index: int, center: str, intercept: float, *, label: str | None
) -> tuple[Patient, Scan]:
    """The patient with number ``index``, the same whichever others there are.

    Each stage draws from a stream of its own, so that the settings of one leave the draws of the others alone.

    Args:
        settings: The cohort's.
        index: From 0.
        center: Name.
        intercept: Of the center.
        label: The outcome that the patient must have: patients of the center come until one has it, so that the
            factors are distributed as those of all its patients with that outcome. None: the first who comes.
    """
    seeds = np.random.SeedSequence([settings.seed, index]).spawn(6)
    factors, outcome, findings, anatomy, acoustics, chart = (np.random.default_rng(seed) for seed in seeds)
    while True:
        texture, shape, clinical = (float(factor) for factor in factors.standard_normal(3))
        logit = logit_of(settings.weights, intercept=intercept, texture=texture, shape=shape, clinical=clinical)
        drawn = settings.labels[int(outcome.random() < probability_of(logit))]
        if label in (None, drawn):
            break
    quantiles = draw_quantiles(settings, shape=shape, clinical=clinical, rng=findings)
    traits = _traits(settings, texture, shape, quantiles, findings)
    scan, length_mm = _scan(settings, center, traits, anatomy, acoustics)
    patient = Patient(
        center=center,
        texture=texture,
        shape=shape,
        clinical=clinical,
        logit=logit,
        probability=probability_of(logit),
        label=drawn,
        row=draw_row(settings, clinical=clinical, quantiles=quantiles, length_mm=length_mm, rng=chart),
    )
    return patient, scan


def _traits(
    settings: Simulation, texture: float, shape: float, quantiles: Mapping[str, float], rng: np.random.Generator
) -> Traits:
    counts = rng.integers(1, [settings.lesion.max_cysts, settings.lesion.max_calcifications], endpoint=True)
    has_cysts = _is_present(settings.findings.cystic_areas, quantiles["cystic_areas"])
    has_calcifications = _is_present(settings.findings.calcification, quantiles["calcification"])
    return Traits(
        texture=texture,
        shape=shape,
        quantiles=quantiles,
        n_cysts=int(counts[0]) * has_cysts,
        n_calcifications=int(counts[1]) * has_calcifications,
    )


def _is_present(finding: Finding, quantile: float) -> bool:
    """Whether the lesion has it: the lowest level of such a finding means that it has not."""
    return level_at(finding.levels, quantile) != next(iter(finding.levels))


def _scan(
    settings: Simulation,
    center: str,
    traits: Traits,
    anatomy: np.random.Generator,
    acoustics: np.random.Generator,
) -> tuple[Scan, float]:
    """The scan, and the true length of the lesion in mm."""
    frame, lesion = settings.frame, settings.lesion
    outline = draw_outline(lesion, traits.shape, frame=frame, rng=anatomy)
    drawn = drawn_by_reader(outline, lesion.reader_jitter, rng=anatomy)
    medium = draw_medium(outline, settings.tissue, lesion, traits, frame=frame, rng=anatomy)
    image = bmode(medium, frame=frame, probe=settings.centers[center].probe, rng=acoustics)
    mask = np.where(drawn.depth_inside_px(frame) > 0, np.uint8(255), np.uint8(0))
    return Scan(image=image, mask=mask), outline.length_px * frame.pixel_mm
