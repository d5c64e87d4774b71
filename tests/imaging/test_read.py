from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusion.errors import InputError
from fusion.imaging.read import read_pixels

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (60, 70, 3), dtype=np.uint8)


def test_eight_bit_data_keep_their_values(tmp_path: Path) -> None:
    gray = np.array([[3, 50], [60, 200]], dtype=np.uint8)
    Image.fromarray(gray).save(tmp_path / "a.png")
    read = read_pixels(tmp_path / "a.png", frame=None)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, gray)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
def test_colors_become_what_pillow_calls_l(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RGB).save(tmp_path / f"a.{suffix}")
    expected = np.asarray(Image.fromarray(RGB).convert("L"))
    np.testing.assert_array_equal(read_pixels(tmp_path / f"a.{suffix}", frame=None), expected)


def test_jpeg_is_close(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(32) * 3, np.arange(40) * 2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=100)
    np.testing.assert_allclose(read_pixels(tmp_path / "a.jpg", frame=None), smooth, atol=2)


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    alpha = RNG.integers(0, 256, (60, 70, 1), dtype=np.uint8)
    Image.fromarray(np.concatenate([RGB, alpha], 2)).save(tmp_path / "a.png")
    Image.fromarray(RGB).save(tmp_path / "b.png")
    np.testing.assert_array_equal(
        read_pixels(tmp_path / "a.png", frame=None), read_pixels(tmp_path / "b.png", frame=None)
    )


def test_palettes_are_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "L").convert("P")
    image.putpalette([255, 0, 0, 40, 40, 40])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png", frame=None), [[76, 40]])


def test_one_bit_becomes_0_and_255(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png", frame=None), [[255, 0]])


def test_other_types_are_stretched_by_their_own_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1000, 2000], [4000, 6000]], dtype=np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_pixels(tmp_path / "a.png", frame=None), [[0, 51], [153, 255]], rtol=1e-6)
    Image.fromarray(np.array([[-1.0, 0.0], [1.0, 3.0]], dtype=np.float32)).save(tmp_path / "a.tiff")
    np.testing.assert_allclose(read_pixels(tmp_path / "a.tiff", frame=None), [[0, 63.75], [127.5, 255]], rtol=1e-6)


def test_an_image_of_one_value_becomes_0(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 700, dtype=np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png", frame=None), np.zeros((2, 2)))


def test_values_must_be_finite(tmp_path: Path) -> None:
    Image.fromarray(np.array([[np.nan, 0.0], [np.inf, 3.0]], dtype=np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=r"a\.tiff: required finite values, came 2 that are not"):
        read_pixels(tmp_path / "a.tiff", frame=None)
