import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fusion.audit.marks import find_marks

LESION = np.zeros((120, 160), dtype=bool)
LESION[40:80, 50:110] = True


def tissue(seed: int) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=LESION.shape), 1.0)
    return np.clip(80 + 30 * noise / noise.std(), 0, 255).astype(np.float32)


def draw(pixels: np.ndarray, row: int, column: int, shape: str, half_length: int, value: float) -> None:
    arm = np.arange(-half_length, half_length + 1)
    if shape == "+":
        pixels[row + arm, column] = pixels[row, column + arm] = value
    else:
        pixels[row + arm, column + arm] = pixels[row + arm, column - arm] = value


@pytest.mark.parametrize("half_length", [4, 5, 6, 8, 10])
@pytest.mark.parametrize("shape", ["+", "x"])
def test_a_cross_on_the_contour_is_found_where_it_is(shape: str, half_length: int) -> None:
    pixels = tissue(half_length)
    draw(pixels, 60, 50, shape, half_length, 230)
    (mark,) = find_marks(pixels, LESION)
    assert (mark.shape, mark.row, mark.column) == (shape, 60, 50)
    assert abs(mark.half_length - half_length) <= 2


def test_two_crosses_are_two_marks() -> None:
    pixels = tissue(0)
    draw(pixels, 60, 52, "+", 5, 220)
    draw(pixels, 60, 108, "+", 5, 220)
    assert sorted(mark.column for mark in find_marks(pixels, LESION)) == [52, 108]


def test_a_cross_that_does_not_reach_the_lesion_is_none_of_it() -> None:
    pixels = tissue(0)
    draw(pixels, 60, 40, "+", 5, 220)
    assert find_marks(pixels, LESION) == ()
    draw(pixels, 60, 45, "+", 5, 220)
    assert len(find_marks(pixels, LESION)) == 1


def test_speckle_and_bright_lines_are_no_crosses() -> None:
    for seed in range(40):
        pixels = tissue(seed)
        assert find_marks(pixels, LESION) == ()
        pixels[50:53, 50:110] = 240
        pixels[65:78, 90:93] = 240
        pixels[70, 60] = pixels[72, 72] = 255
        assert find_marks(pixels, LESION) == ()


def test_a_mark_at_the_border_of_the_image() -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[:30, :30] = True
    pixels = tissue(1)[:60, :60]
    draw(pixels, 6, 6, "+", 5, 230)
    assert [(mark.row, mark.column) for mark in find_marks(pixels, mask)] == [(6, 6)]
