import numpy as np
import pytest

from fusion.explanation.lesion_share import lesion_share


def square(n_px: int = 64) -> np.ndarray:
    mask = np.zeros((n_px, n_px), dtype=np.uint8)
    mask[16:48, 16:48] = 255
    return mask


def test_the_regions_divide_the_crop_and_the_attribution() -> None:
    share = lesion_share(np.random.default_rng(0).normal(size=(64, 64)), square(), ring=0.1)
    assert share.attribution.sum() == pytest.approx(1)
    assert share.area.sum() == pytest.approx(1)
    assert share.area[0] == 0.25
    # The ring is 0.1 x 2 sqrt(1024 / pi) = 3.6 px wide: four strips of 3 px and rounded corners of 8 px each (of 9, one
    # lies 3 sqrt(2) = 4.2 px away).
    assert share.area[1] * 64 * 64 == 4 * (3 * 32 + 8)


@pytest.mark.parametrize(("place", "region"), [((32, 32), 0), ((32, 13), 1), ((2, 2), 2)])
def test_an_attribution_is_where_it_is_whatever_its_sign(place: tuple[int, int], region: int) -> None:
    for value in (3.0, -3.0):
        values = np.zeros((64, 64))
        values[place] = value
        assert lesion_share(values, square(), ring=0.1).attribution.tolist() == np.eye(3)[region].tolist()


def test_one_that_is_spread_evenly_has_the_share_of_the_area() -> None:
    share = lesion_share(np.full((64, 64), -0.2), square(), ring=0.1)
    np.testing.assert_allclose(share.attribution, share.area)
    np.testing.assert_allclose(share.ratio, 1)


def test_half_covered_pixels_are_in_the_lesion() -> None:
    mask = np.array([[127, 128]], dtype=np.uint8)
    assert lesion_share(np.array([[1.0, 3.0]]), mask, ring=0.0).attribution.tolist() == [0.75, 0.0, 0.25]


def test_without_a_lesion_all_is_beyond() -> None:
    share = lesion_share(np.ones((8, 8)), np.zeros((8, 8), dtype=np.uint8), ring=0.5)
    assert share.attribution.tolist() == [0, 0, 1]
    assert np.isnan(share.ratio[:2]).all()
    assert share.ratio[2] == 1


def test_a_lesion_that_fills_the_crop_leaves_nothing_beyond() -> None:
    share = lesion_share(np.ones((8, 8)), np.full((8, 8), 255, dtype=np.uint8), ring=0.5)
    assert share.attribution.tolist() == share.area.tolist() == [1, 0, 0]


def test_no_attribution_has_no_share() -> None:
    assert np.isnan(lesion_share(np.zeros((64, 64)), square(), ring=0.1).attribution).all()
