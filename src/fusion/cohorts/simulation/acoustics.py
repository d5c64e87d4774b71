"""From tissue to a B-mode picture: scatterers, pulse and beam, attenuation, compression.

The picture is a linear system's: each scatterer answers with the probe's pulse (a Gaussian-windowed carrier along
the beam times a Gaussian across it), the answers add up to a radio-frequency line, and the display shows the line's
envelope on a decibel scale. Nothing is painted on, so speckle, its grain and its statistics follow from the physics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from fusion.cohorts.simulation.noise import Field
from fusion.cohorts.simulation.settings import SPEED_OF_SOUND_MM_PER_US, Frame, Probe
from fusion.cohorts.simulation.speckle import darkening_db

_FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))
_TGC_SLIDERS = 8
# The beam is as wide as its aperture on the way down, so the border of a shadow is never sharp.
_SHADOW_BLUR_MM = 0.5


@dataclass(frozen=True, kw_only=True)
class Medium:
    """What the beam meets, one value per pixel, (depth_px, width_px).

    Attributes:
        level_db: Mean echo level on the display's scale, where fully developed speckle of level 0 is the gland's.
        scatterers_per_mm2: Density of scatterers.
        attenuation_db_cm_mhz: One way.
    """

    level_db: Field
    scatterers_per_mm2: Field
    attenuation_db_cm_mhz: Field


def bmode(medium: Medium, *, frame: Frame, probe: Probe, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture of a medium.

    Returns:
        (depth_px, width_px), 0 black to 255 white.
    """
    tgc_db = _tgc_db(frame, probe, rng)
    strength_db = medium.level_db + _correction_db(medium.scatterers_per_mm2, frame, probe)
    strength_db += tgc_db - _attenuation_db(medium.attenuation_db_cm_mhz, frame, probe)
    scatterers = _scatter(strength_db, medium.scatterers_per_mm2, frame, rng)
    envelope = np.abs(_receive(scatterers, frame, probe) + _noise(tgc_db, frame, probe, rng))
    gain_db = probe.gain_db + probe.gain_jitter_db * rng.standard_normal()
    return _display(envelope, gain_db, frame, probe)


def beam_sigma_mm(*, frame: Frame, probe: Probe) -> Field:
    """Standard deviation of the two-way beam's amplitude at each row, (depth_px,), smallest at the focus.

    A Gaussian beam: sigma(z) = sigma(focus) sqrt(1 + ((z - focus) / range)^2).
    """
    from_focus = (_depths_mm(frame) - probe.focus_mm) / probe.focal_range_mm
    return np.asarray(probe.beam_mm / _FWHM_PER_SIGMA * np.sqrt(1 + from_focus**2), dtype=np.float32)


def cell_area_mm2(*, frame: Frame, probe: Probe) -> Field:
    """Area of the resolution cell at each row, (depth_px,).

    For a point-spread function h it is (∫|h|²)² / ∫|h|⁴, here 2 pi sigma_across sigma_along. With N independent
    scatterers of equal strength in it the intensity's contrast <I²>/<I>² is 2 + 1/N; 10 or more look fully developed.
    """
    area = 2 * math.pi * _pulse_sigma_mm(probe) * beam_sigma_mm(frame=frame, probe=probe)
    return np.asarray(area, dtype=np.float32)


def _correction_db(scatterers_per_mm2: Field, frame: Frame, probe: Probe) -> Field:
    """What to add to the strength of sparse scatterers, so that their grain tells of them and not their brightness."""
    return darkening_db(scatterers_per_mm2 * cell_area_mm2(frame=frame, probe=probe)[:, None])


def _scatter(strength_db: Field, scatterers_per_mm2: Field, frame: Frame, rng: np.random.Generator) -> Field:
    """Scatterers of random sign on the samples of the radio-frequency lines, (depth_px * rf_per_pixel, width_px).

    Their number falls with the density while the power per area stays that of ``strength_db``.
    """
    chance = scatterers_per_mm2 * np.float32(frame.pixel_mm**2 / frame.rf_per_pixel)
    amplitude = 10 ** (strength_db / 20) / np.sqrt(scatterers_per_mm2)
    # Pixel by sample by line: the maps are per pixel and broadcast over its samples.
    draw = rng.random((frame.depth_px, frame.rf_per_pixel, frame.width_px), dtype=np.float32)
    sign = (draw < chance[:, None] / 2).astype(np.float32) - (draw > 1 - chance[:, None] / 2)
    return np.asarray(sign * amplitude[:, None], dtype=np.float32).reshape(-1, frame.width_px)


def _receive(scatterers: Field, frame: Frame, probe: Probe) -> NDArray[np.complex64]:
    """Analytic signal of the received lines at each pixel, (depth_px, width_px).

    Keeping only the carrier's positive frequencies makes the signal analytic (it is the line plus i times its
    Hilbert transform); reading just the band around the carrier shifts it to base band at the spacing of the pixels.
    """
    lines = np.fft.ifft(_pulse_band(scatterers, frame, probe), axis=0)
    across = np.fft.fftfreq(frame.width_px, frame.pixel_mm).astype(np.float32)
    sigma = beam_sigma_mm(frame=frame, probe=probe)[:, None]
    beam = np.sqrt(2 * math.sqrt(math.pi) * sigma) * np.exp(-2 * (math.pi * sigma * across) ** 2)
    received = np.fft.ifft(np.fft.fft(lines, axis=1) * (beam / frame.pixel_mm), axis=1)
    return np.asarray(received, dtype=np.complex64)


def _pulse_band(scatterers: Field, frame: Frame, probe: Probe) -> NDArray[np.complex64]:
    """Spectrum along the beam in the ``depth_px`` bins about the carrier, times the pulse's, zero frequency first."""
    n_samples = len(scatterers)
    sample_mm = frame.pixel_mm / frame.rf_per_pixel
    per_mm = 1 / (n_samples * sample_mm)
    carrier = round(_carrier_per_mm(probe) / per_mm)
    offset = np.arange(frame.depth_px) - frame.depth_px // 2
    sigma = _pulse_sigma_mm(probe)
    pulse = math.sqrt(2 * sigma * math.sqrt(math.pi)) * np.exp(-2 * (math.pi * sigma * offset * per_mm) ** 2)
    # The shift by half a pixel reads the signal at the pixel's middle instead of its upper edge.
    to_middle = np.exp(2j * math.pi * (carrier + offset) * (frame.rf_per_pixel - 1) / 2 / n_samples)
    window = (pulse * to_middle / sample_mm / frame.rf_per_pixel).astype(np.complex64)
    spectrum = np.fft.rfft(scatterers, axis=0)[carrier + offset]
    return np.fft.ifftshift(spectrum * window[:, None], axes=0)


def _noise(tgc_db: Field, frame: Frame, probe: Probe, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Electronic noise, which time-gain compensation lifts with depth."""
    parts = rng.standard_normal((2, frame.depth_px, frame.width_px), dtype=np.float32)
    amplitude = 10 ** ((probe.noise_db + tgc_db) / 20) / math.sqrt(2)
    return np.asarray((parts[0] + 1j * parts[1]) * amplitude, dtype=np.complex64)


def _attenuation_db(attenuation_db_cm_mhz: Field, frame: Frame, probe: Probe) -> Field:
    """Loss on the way down to each pixel and back."""
    per_pixel = attenuation_db_cm_mhz * np.float32(2 * probe.frequency_mhz * frame.pixel_mm / 10)
    loss = np.cumsum(per_pixel, axis=0) - per_pixel
    return np.asarray(gaussian_filter1d(loss, _SHADOW_BLUR_MM / frame.pixel_mm, axis=1, mode="nearest"))


def _tgc_db(frame: Frame, probe: Probe, rng: np.random.Generator) -> Field:
    """Time-gain compensation, (depth_px, 1): the assumed loss and an operator who does not set it perfectly."""
    depths = _depths_mm(frame)
    sliders = rng.normal(0, probe.tgc_error_db, _TGC_SLIDERS)
    error = np.interp(depths, np.linspace(0, depths[-1], _TGC_SLIDERS), sliders)
    assumed = 2 * probe.frequency_mhz * probe.tgc_db_cm_mhz * depths / 10
    return np.asarray((assumed + error)[:, None], dtype=np.float32)


def _display(envelope: NDArray[np.float32], gain_db: float, frame: Frame, probe: Probe) -> NDArray[np.uint8]:
    below_white_db = 20 * np.log10(np.maximum(envelope, 1e-6)) + gain_db
    shade = np.clip(1 + below_white_db / probe.dynamic_range_db, 0, 1)
    smooth = gaussian_filter(shade, probe.smoothing_mm / frame.pixel_mm)
    return np.asarray(np.rint(255 * smooth), dtype=np.uint8)


def _depths_mm(frame: Frame) -> NDArray[np.float64]:
    return (np.arange(frame.depth_px, dtype=np.float64) + 0.5) * frame.pixel_mm


def _carrier_per_mm(probe: Probe) -> float:
    """Cycles per mm of depth; the echo's way is twice the depth."""
    return 2 * probe.frequency_mhz / SPEED_OF_SOUND_MM_PER_US


def _pulse_sigma_mm(probe: Probe) -> float:
    """Standard deviation of the pulse's amplitude along the beam."""
    return _FWHM_PER_SIGMA / (2 * math.pi * probe.bandwidth * _carrier_per_mm(probe))
