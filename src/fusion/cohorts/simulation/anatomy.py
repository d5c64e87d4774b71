"""The neck of one patient: layers of tissue, and a lesion with what is inside and behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fusion.cohorts.simulation.acoustics import Medium
from fusion.cohorts.simulation.noise import Field, smooth_noise
from fusion.cohorts.simulation.outline import Outline, at_factor
from fusion.cohorts.simulation.settings import Frame, Layer, Lesion, Range, Tissue

_INTERFACE_MM = 0.3
_INTERFACE_WAVE_MM = 0.35
_SEPTUM_WIDTH = 0.3
_GAP_TO_LESION_MM = 1.0
_BULGE_WIDTH = 1.8
_BULGE_TOP = 0.9


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a patient's lesion is like, as far as the picture shows it.

    Attributes:
        texture, shape: The two factors of the outcome that show, standard normal.
        quantiles: By finding, uniform from 0 to 1: where the lesion stands between the finding's two extremes.
        n_cysts, n_calcifications: Counts.
    """

    texture: float
    shape: float
    quantiles: Mapping[str, float]
    n_cysts: int
    n_calcifications: int


def draw_medium(
    outline: Outline, tissue: Tissue, lesion: Lesion, traits: Traits, *, frame: Frame, rng: np.random.Generator
) -> Medium:
    """The layers of the neck with the lesion in its own."""
    medium = _layered(_layer_tops(outline, tissue, lesion.layer, frame, rng), tissue, frame, rng)
    medium = _with_lesion(medium, outline, lesion, traits, frame, rng)
    for _ in range(traits.n_cysts):
        medium = _with_cyst(medium, _inner_disk(outline, lesion.cyst_radius, frame, rng), lesion)
    for _ in range(traits.n_calcifications):
        medium = _with_calcification(medium, outline, lesion, frame, rng)
    return medium


def _layer_tops(outline: Outline, tissue: Tissue, host: str, frame: Frame, rng: np.random.Generator) -> Field:
    """Row at which each layer begins, (n_layers, width_px), bent around a lesion too large for its layer."""
    thickness_px = [rng.uniform(*layer.thickness_mm) / frame.pixel_mm for layer in tissue.layers]
    level = np.concatenate(([0], np.cumsum(thickness_px)[:-1]))[:, None]
    wave_px = np.arange(len(level))[:, None] * (_INTERFACE_WAVE_MM / frame.pixel_mm)
    tops = level + wave_px * smooth_noise((len(level), frame.width_px), (0, frame.width_px / 8), rng)
    host_index = [layer.name for layer in tissue.layers].index(host)
    up, down, left, right = outline.extent_px
    bulge = np.exp(-(((np.arange(frame.width_px) - outline.column_px) / (_BULGE_WIDTH * max(left, right))) ** 2))
    gap_px = _GAP_TO_LESION_MM / frame.pixel_mm
    for index in range(1, len(tops)):
        # Layers up to the lesion's own begin above it, one gap for each; the others begin below it.
        n_below = index - host_index
        side, limit = (1, outline.row_px + down) if n_below > 0 else (-1, outline.row_px - up - gap_px)
        lacking = side * (limit + gap_px * n_below - tops[index])
        tops[index] += side * bulge * lacking.max(where=bulge > _BULGE_TOP, initial=0)
    return np.asarray(tops, dtype=np.float32)


def _layered(tops: Field, tissue: Tissue, frame: Frame, rng: np.random.Generator) -> Medium:
    shape = (frame.depth_px, frame.width_px)
    rows = np.arange(frame.depth_px, dtype=np.float32)[:, None]
    level, attenuation = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for top, layer in zip(tops, tissue.layers, strict=True):
        inside = rows >= top
        level = np.where(inside, layer.level_db + _septa_db(layer, frame, rng), level)
        attenuation = np.where(inside, np.float32(layer.attenuation_db_cm_mhz), attenuation)
    wander_px = (tissue.wander_mm / frame.pixel_mm,) * 2
    level += tissue.wander_db * smooth_noise(shape, wander_px, rng)
    for top, layer in zip(tops, tissue.layers, strict=True):
        level += layer.interface_db * _interface(rows - top, frame, rng)
    density = np.full(shape, tissue.scatterers_per_mm2, np.float32)
    return Medium(level_db=level, scatterers_per_mm2=density, attenuation_db_cm_mhz=attenuation)


def _septa_db(layer: Layer, frame: Frame, rng: np.random.Generator) -> Field:
    """Bright sheets of connective tissue: where a smooth field crosses zero."""
    if layer.septa_db == 0:
        return np.zeros((frame.depth_px, frame.width_px), np.float32)
    depth_mm, along_mm = layer.septa_mm
    sigma_px = (depth_mm / 2 / frame.pixel_mm, along_mm / 2 / frame.pixel_mm)
    field = smooth_noise((frame.depth_px, frame.width_px), sigma_px, rng)
    return np.asarray(layer.septa_db * np.exp(-((field / _SEPTUM_WIDTH) ** 2)), dtype=np.float32)


def _interface(from_top_px: Field, frame: Frame, rng: np.random.Generator) -> Field:
    """A bright line of changing strength, 1 at its brightest."""
    strength = 0.75 + 0.25 * smooth_noise((1, frame.width_px), (0, frame.width_px / 16), rng)
    width_px = _INTERFACE_MM / frame.pixel_mm
    return np.asarray(strength * np.exp(-((from_top_px / width_px) ** 2)), dtype=np.float32)


def _with_lesion(
    healthy: Medium, outline: Outline, lesion: Lesion, traits: Traits, frame: Frame, rng: np.random.Generator
) -> Medium:
    depth_inside_px = outline.depth_inside_px(frame)
    edge_px = _at_quantile(lesion.edge_mm, traits.quantiles["edge"]) / frame.pixel_mm
    # Four times: the width is that from the tangent's 0 to its 1.
    share = expit(4 * depth_inside_px / np.float32(edge_px))
    wander = smooth_noise((frame.depth_px, frame.width_px), (outline.mean_radius_px / 2,) * 2, rng)
    level = _at_quantile(lesion.level_db, traits.quantiles["echogenicity"]) + lesion.wander_db * wander
    attenuation = _at_quantile(lesion.attenuation_db_cm_mhz, 1 - traits.quantiles["posterior_enhancement"])
    density = at_factor(lesion.scatterers_per_mm2, traits.texture)
    inside = depth_inside_px > 0
    return Medium(
        level_db=healthy.level_db + share * (level - healthy.level_db),
        scatterers_per_mm2=np.where(inside, np.float32(density), healthy.scatterers_per_mm2),
        attenuation_db_cm_mhz=np.where(inside, np.float32(attenuation), healthy.attenuation_db_cm_mhz),
    )


def _with_cyst(medium: Medium, inside: NDArray[np.bool_], lesion: Lesion) -> Medium:
    """Fluid: it neither scatters nor attenuates."""
    return replace(
        medium,
        level_db=np.where(inside, np.float32(lesion.cyst_level_db), medium.level_db),
        attenuation_db_cm_mhz=np.where(inside, np.float32(0), medium.attenuation_db_cm_mhz),
    )


def _with_calcification(
    medium: Medium, outline: Outline, lesion: Lesion, frame: Frame, rng: np.random.Generator
) -> Medium:
    radius_mm = rng.uniform(*lesion.calcification_mm)
    row, column = _inner_point(outline, 0.7, rng)
    inside = _disk(row, column, radius_mm / frame.pixel_mm, frame)
    return replace(
        medium,
        level_db=np.where(inside, np.float32(lesion.calcification_level_db), medium.level_db),
        attenuation_db_cm_mhz=np.where(
            inside, np.float32(lesion.calcification_attenuation_db_cm_mhz), medium.attenuation_db_cm_mhz
        ),
    )


def _inner_disk(outline: Outline, radius: Range, frame: Frame, rng: np.random.Generator) -> NDArray[np.bool_]:
    row, column = _inner_point(outline, 0.5, rng)
    return _disk(row, column, rng.uniform(*radius) * outline.mean_radius_px, frame)


def _inner_point(outline: Outline, reach: float, rng: np.random.Generator) -> tuple[float, float]:
    """A point evenly spread over the inner ``reach`` of the lesion's radius."""
    angle_index = int(rng.integers(len(outline.radius_px)))
    radius = outline.radius_px[angle_index] * reach * math.sqrt(rng.uniform())
    angle = 2 * math.pi * angle_index / len(outline.radius_px)
    return outline.row_px + radius * math.sin(angle), outline.column_px + radius * math.cos(angle)


def _disk(row_px: float, column_px: float, radius_px: float, frame: Frame) -> NDArray[np.bool_]:
    rows = np.arange(frame.depth_px)[:, None] - row_px
    columns = np.arange(frame.width_px)[None] - column_px
    return np.asarray(np.hypot(rows, columns) <= radius_px)


def _at_quantile(ends: Range, quantile: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * quantile
