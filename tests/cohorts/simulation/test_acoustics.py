from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.cohorts.simulation.acoustics import Medium, beam_sigma_mm, bmode, cell_area_mm2
from fusion.cohorts.simulation.settings import Frame, Probe

FRAME = Frame(depth_px=160, width_px=160, pixel_mm=0.18, rf_per_pixel=6)
PROBE = Probe(
    frequency_mhz=8.0,
    bandwidth=0.25,
    beam_mm=0.5,
    focus_mm=7.0,
    focal_range_mm=6.0,
    tgc_db_cm_mhz=0.5,
    tgc_error_db=0.0,
    gain_db=-20.0,
    gain_jitter_db=0.0,
    dynamic_range_db=60.0,
    noise_db=-90.0,
    smoothing_mm=0.0,
)


def medium(*, level_db: float = 0.0, density: float = 60.0, attenuation: float = 0.5) -> Medium:
    shape = (FRAME.depth_px, FRAME.width_px)
    return Medium(
        level_db=np.full(shape, level_db, np.float32),
        scatterers_per_mm2=np.full(shape, density, np.float32),
        attenuation_db_cm_mhz=np.full(shape, attenuation, np.float32),
    )


def levels_db(tissue: Medium, probe: Probe = PROBE, seed: int = 0) -> NDArray[np.float64]:
    """What the picture says of the echo level, undoing the display."""
    shades = bmode(tissue, frame=FRAME, probe=probe, rng=np.random.default_rng(seed))
    return (shades / 255 - 1) * probe.dynamic_range_db - probe.gain_db


def lateral_grain_px(shades: NDArray[np.float64]) -> float:
    """Lag at which the autocorrelation along the rows falls to a half."""
    centered = shades - shades.mean()
    spectrum = np.abs(np.fft.fft(centered, axis=1)) ** 2
    correlation = np.fft.ifft(spectrum, axis=1).real.sum(0)
    below = int(np.argmax(correlation / correlation[0] < 0.5))
    high, low = correlation[below - 1 : below + 1] / correlation[0]
    return float(below - 1 + (high - 0.5) / (high - low))


def test_the_picture_is_eight_bit_and_repeats() -> None:
    first, second = (bmode(medium(), frame=FRAME, probe=PROBE, rng=np.random.default_rng(3)) for _ in range(2))
    assert first.dtype == np.uint8
    assert first.shape == (160, 160)
    assert np.array_equal(first, second)


def test_dense_scatterers_make_fully_developed_speckle() -> None:
    # The logarithm of an exponentially distributed intensity has standard deviation pi / sqrt(6) nepers (5.57 dB),
    # and mean -0.5772 nepers (-2.51 dB).
    level = levels_db(medium(), replace(PROBE, dynamic_range_db=120.0, gain_db=-40.0))
    assert level.std() == pytest.approx(5.57, abs=0.25)
    assert level.mean() == pytest.approx(-2.51, abs=0.4)


def test_sparse_scatterers_are_rougher_at_the_same_mean_level() -> None:
    wide = replace(PROBE, dynamic_range_db=160.0, gain_db=-40.0, noise_db=-120.0)
    dense, sparse = levels_db(medium(), wide), levels_db(medium(density=5.0), wide)
    assert sparse.mean() == pytest.approx(dense.mean(), abs=0.4)
    assert sparse.std() > dense.std() + 0.8


def test_contrast_follows_the_number_of_scatterers_in_a_cell() -> None:
    # <I^2>/<I>^2 = 2 + 1/N for N scatterers of equal strength in a resolution cell; a beam without a focus keeps N.
    even = replace(PROBE, focal_range_mm=1e6, dynamic_range_db=160.0, gain_db=-40.0, noise_db=-120.0)
    cell = float(cell_area_mm2(frame=FRAME, probe=even)[0])
    ratios = []
    for seed in range(6):
        intensity = 10 ** (levels_db(medium(density=1 / cell), even, seed) / 10)
        ratios.append((intensity**2).mean() / intensity.mean() ** 2)
    assert np.mean(ratios) == pytest.approx(3.0, abs=0.25)


def test_the_beam_is_narrowest_at_the_focus() -> None:
    sigma = beam_sigma_mm(frame=FRAME, probe=PROBE)
    assert sigma.argmin() == pytest.approx(7.0 / 0.18, abs=1)
    assert sigma.min() == pytest.approx(0.5 / 2.3548, rel=1e-3)
    level = levels_db(medium())
    at_focus, below = lateral_grain_px(level[30:50]), lateral_grain_px(level[135:155])
    # sqrt(1 + (19 / 6)^2) = 3.3 times as wide there.
    assert below > 2 * at_focus


def test_behind_an_attenuating_lesion_there_is_shadow_and_behind_a_clear_one_enhancement() -> None:
    columns, behind = slice(60, 100), slice(90, 150)
    change = {}
    for name, attenuation in (("shadow", 1.0), ("enhancement", 0.1)):
        tissue = medium()
        tissue.attenuation_db_cm_mhz[30:80, columns] = attenuation
        change[name] = levels_db(tissue)[behind, 65:95].mean() - levels_db(medium())[behind, 65:95].mean()
    # Twice 0.9 cm at 8 MHz, times the difference to the tissue's 0.5 dB/cm/MHz.
    assert change["shadow"] == pytest.approx(-2 * 0.9 * 8 * 0.5, abs=0.7)
    assert change["enhancement"] == pytest.approx(2 * 0.9 * 8 * 0.4, abs=0.7)


def test_imperfect_compensation_darkens_the_depth() -> None:
    level = levels_db(medium(), replace(PROBE, tgc_db_cm_mhz=0.4))
    reference = levels_db(medium())
    # 16 MHz x 0.1 dB/cm/MHz at the bands' middles, 0.54 and 2.34 cm deep.
    assert (reference - level)[20:40].mean() == pytest.approx(16 * 0.1 * 0.54, abs=0.2)
    assert (reference - level)[120:140].mean() == pytest.approx(16 * 0.1 * 2.34, abs=0.2)


def test_gain_brightens_by_its_decibels() -> None:
    dark, bright = (
        bmode(medium(), frame=FRAME, probe=replace(PROBE, gain_db=gain), rng=np.random.default_rng(0)).astype(float)
        for gain in (-30.0, -24.0)
    )
    assert (bright - dark).mean() == pytest.approx(255 * 6 / 60, abs=0.5)


def test_a_thing_shows_where_it_is() -> None:
    tissue = medium(level_db=-60.0)
    tissue.level_db[60:70, 80:84] = 0.0
    pictures = [bmode(tissue, frame=FRAME, probe=PROBE, rng=np.random.default_rng(seed)) for seed in range(8)]
    weight = np.mean(pictures, axis=0)[40:90, 60:104]
    rows, columns = np.indices(weight.shape)
    assert 40 + (rows * weight).sum() / weight.sum() == pytest.approx(64.5, abs=0.5)
    assert 60 + (columns * weight).sum() / weight.sum() == pytest.approx(81.5, abs=0.5)
