import numpy as np
import pytest

from fusion.cohorts.simulation.outline import Outline, at_factor, draw_outline, drawn_by_reader
from fusion.cohorts.simulation.settings import Frame, Lesion

FRAME = Frame(depth_px=192, width_px=256, pixel_mm=0.18, rf_per_pixel=6)
LESION = Lesion(
    layer="gland",
    depth=(0.15, 0.8),
    length_mm=(8.0, 16.0),
    aspect=(0.6, 0.95),
    scatterers_per_mm2=(20.0, 5.0),
    irregularity=(0.01, 0.16),
    lobes=(3, 11),
    level_db=(-18.0, -6.0),
    edge_mm=(0.2, 1.2),
    attenuation_db_cm_mhz=(0.1, 1.1),
    wander_db=1.0,
    max_cysts=2,
    cyst_radius=(0.1, 0.2),
    cyst_level_db=-40.0,
    max_calcifications=2,
    calcification_mm=(0.1, 0.3),
    calcification_level_db=10.0,
    calcification_attenuation_db_cm_mhz=8.0,
    reader_jitter=0.02,
)


def outline(shape: float, seed: int) -> Outline:
    return draw_outline(LESION, shape, frame=FRAME, rng=np.random.default_rng(seed))


def mask_of(contour: Outline) -> np.ndarray:
    return contour.depth_inside_px(FRAME) > 0


def test_a_circle_has_a_circle_s_mask() -> None:
    circle = Outline(row_px=90.0, column_px=120.0, radius_px=np.full(1440, 30.0), length_px=60.0)
    assert mask_of(circle).sum() == pytest.approx(np.pi * 30**2, rel=0.01)
    assert circle.extent_px == pytest.approx((30, 30, 30, 30))
    assert circle.depth_inside_px(FRAME)[90, 120] == pytest.approx(30)


@pytest.mark.parametrize("seed", range(8))
def test_the_factor_changes_the_contour_but_not_the_area(seed: int) -> None:
    smooth, spiky = outline(-2, seed), outline(2, seed)
    assert mask_of(spiky).sum() == pytest.approx(mask_of(smooth).sum(), rel=0.012)
    assert smooth.length_px == spiky.length_px

    def roughness(contour: Outline) -> float:
        return float(np.abs(np.diff(contour.radius_px)).sum() / contour.mean_radius_px)

    assert roughness(spiky) > 2 * roughness(smooth)


@pytest.mark.parametrize("seed", range(8))
def test_the_lesion_lies_within_its_depths(seed: int) -> None:
    rows, columns = np.nonzero(mask_of(outline(0.5, seed)))
    assert rows.min() >= 0.15 * 192 - 1
    assert rows.max() <= 0.8 * 192 + 1
    assert columns.min() >= 1
    assert columns.max() <= 254


def test_the_reader_s_contour_is_a_little_off() -> None:
    true = outline(0, 1)
    drawn = drawn_by_reader(true, 0.02, rng=np.random.default_rng(0))
    assert np.sqrt(np.mean((drawn.radius_px / true.radius_px - 1) ** 2)) == pytest.approx(0.02)
    both = (mask_of(drawn) & mask_of(true)).sum()
    dice = 2 * both / (mask_of(drawn).sum() + mask_of(true).sum())
    assert 0.94 < dice < 1


def test_a_range_is_log_linear_between_factors_of_2_and_limited_there() -> None:
    assert at_factor((1.0, 16.0), 0.0) == pytest.approx(4)
    assert at_factor((1.0, 16.0), -2.0) == pytest.approx(1)
    assert at_factor((1.0, 16.0), 9.0) == pytest.approx(16)
