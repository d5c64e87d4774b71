import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.imaging.crop import crop_lesion
from fusion.imaging.lesion import Lesion

# Every pixel another value, none of them 0.
PIXELS = (np.arange(12 * 20) % 250 + 1).astype(np.float32).reshape(12, 20)


def lesion(rows: slice, columns: slice, pixels: NDArray[np.float32] = PIXELS) -> Lesion:
    mask = np.zeros(pixels.shape, dtype=bool)
    mask[rows, columns] = True
    return Lesion(pixels=pixels, mask=mask)


def test_the_identity_where_n_px_is_the_side() -> None:
    crop = crop_lesion(lesion(slice(4, 8), slice(6, 9)), margin=0.25, n_px=6)
    assert crop.dtype == np.uint8
    # Longer side 4, side 6, centered on row 6 and column 7.5: columns 4 to 9 or 5 to 10 are as near.
    np.testing.assert_array_equal(crop[0], PIXELS[3:9, 4:10])
    expected = np.zeros((6, 6))
    expected[1:5, 2:5] = 255
    np.testing.assert_array_equal(crop[1], expected)


def test_no_margin_touches_the_lesion() -> None:
    crop = crop_lesion(lesion(slice(2, 7), slice(6, 11)), margin=0.0, n_px=5)
    np.testing.assert_array_equal(crop[0], PIXELS[2:7, 6:11])
    assert (crop[1] == 255).all()


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (slice(0, 4), slice(0, 4), PIXELS[0:6, 0:6]),
        (slice(8, 12), slice(16, 20), PIXELS[6:12, 14:20]),
        (slice(0, 4), slice(16, 20), PIXELS[0:6, 14:20]),
    ],
    ids=["top left", "bottom right", "top right"],
)
def test_at_a_border_the_square_is_shifted_inside(rows: slice, columns: slice, expected: NDArray[np.float32]) -> None:
    crop = crop_lesion(lesion(rows, columns), margin=0.25, n_px=6)
    np.testing.assert_array_equal(crop[0], expected)
    assert np.count_nonzero(crop[1]) == 16


def test_a_square_larger_than_the_image_holds_all_of_it_on_zeros() -> None:
    # Longer side 16, side 24: larger than 12 rows and 20 columns.
    crop = crop_lesion(lesion(slice(2, 10), slice(0, 16)), margin=0.25, n_px=24)
    np.testing.assert_array_equal(crop[0, 6:18, 4:24], PIXELS)
    assert crop[0].sum() == PIXELS.sum()
    assert crop[1].sum() == 255 * 8 * 16


def test_a_square_too_tall_is_shifted_sideways_only() -> None:
    # Side 15: three rows more than the image has, five columns fewer.
    crop = crop_lesion(lesion(slice(1, 4), slice(10, 20)), margin=0.25, n_px=15)
    np.testing.assert_array_equal(crop[0, 3:15], PIXELS[:, 5:20])
    assert (crop[0, :3] == 0).all()


def test_one_pixel() -> None:
    crop = crop_lesion(lesion(slice(5, 6), slice(7, 8)), margin=1.0, n_px=3)
    np.testing.assert_array_equal(crop[0], PIXELS[4:7, 6:9])
    np.testing.assert_array_equal(crop[1], [[0, 0, 0], [0, 255, 0], [0, 0, 0]])
    enlarged = crop_lesion(lesion(slice(5, 6), slice(7, 8)), margin=0.0, n_px=4)
    np.testing.assert_array_equal(enlarged[0], np.full((4, 4), PIXELS[5, 7]))


def test_shrinking_does_not_alias() -> None:
    # A checkerboard is gray from afar; picking pixels would show black or white.
    checkers = (np.indices((64, 64)).sum(0) % 2 * 200).astype(np.float32)
    crop = crop_lesion(lesion(slice(0, 64), slice(0, 64), checkers), margin=0.0, n_px=16)
    np.testing.assert_allclose(crop[0, 1:-1, 1:-1], 100, atol=1)


def test_the_mask_keeps_its_area_when_resized() -> None:
    crop = crop_lesion(lesion(slice(10, 43), slice(20, 57), np.ones((64, 80), np.float32)), margin=0.2, n_px=24)
    side = 52  # 1.4 times 37, in whole pixels
    assert (crop[1] / 255.0).sum() * (side / 24) ** 2 == pytest.approx(33 * 37, rel=0.005)
    assert np.count_nonzero((crop[1] > 0) & (crop[1] < 255)) > 0


def test_proportions_are_kept() -> None:
    crop = crop_lesion(lesion(slice(20, 30), slice(10, 50), np.ones((64, 64), np.float32)), margin=0.1, n_px=96)
    inside = crop[1] > 127
    assert inside.any(0).sum() / inside.any(1).sum() == pytest.approx(4, abs=0.2)
