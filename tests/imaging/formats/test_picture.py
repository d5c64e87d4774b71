from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusion.imaging.formats.picture import read_picture

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def first(n_frames: int) -> int:
    return 0


def last(n_frames: int) -> int:
    return n_frames - 1


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
def test_gray_values_come_as_stored(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(GRAY).save(tmp_path / f"a.{suffix}")
    raster = read_picture(tmp_path / f"a.{suffix}", first)
    np.testing.assert_array_equal(raster.values, GRAY)
    assert not raster.lossy


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_deep_tiffs_keep_their_type(tmp_path: Path, dtype: type) -> None:
    values: NDArray[Any] = (GRAY * 200.0).astype(dtype)
    Image.fromarray(values).save(tmp_path / "a.tiff")
    read = read_picture(tmp_path / "a.tiff", first).values
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, values)


def test_sixteen_bit_png_keeps_its_type(tmp_path: Path) -> None:
    values = GRAY.astype(np.uint16) * 250
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", first).values, values)


def test_one_bit_is_boolean(tmp_path: Path) -> None:
    Image.fromarray(GRAY > 100).save(tmp_path / "a.png")
    read = read_picture(tmp_path / "a.png", first).values
    assert read.dtype == np.bool_
    np.testing.assert_array_equal(read, GRAY > 100)


def test_palette_pictures_give_indices_and_colors(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "a.png")
    raster = read_picture(tmp_path / "a.png", first)
    np.testing.assert_array_equal(raster.values, [[0, 1], [2, 1]])
    assert raster.palette is not None
    np.testing.assert_array_equal(raster.palette[:3], [[0, 0, 0], [10, 20, 30], [200, 100, 50]])


def test_alpha_of_a_gray_picture_is_dropped(tmp_path: Path) -> None:
    Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(np.full_like(GRAY, 7))]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", first).values, GRAY)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    gray = np.zeros((16, 32), dtype=np.uint8)
    gray[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise to view"
    Image.fromarray(gray).save(tmp_path / "a.jpg", quality=100, exif=exif)
    raster = read_picture(tmp_path / "a.jpg", first)
    assert raster.lossy
    np.testing.assert_allclose(raster.values, np.rot90(gray, -1), atol=3)


def test_the_chosen_page_of_a_tiff(tmp_path: Path) -> None:
    pages = [Image.fromarray(GRAY + n) for n in range(3)]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    raster = read_picture(tmp_path / "a.tiff", last)
    np.testing.assert_array_equal(raster.values, GRAY + 2)


def test_jpeg_inside_of_a_tiff_is_lossy(tmp_path: Path) -> None:
    Image.fromarray(GRAY).save(tmp_path / "a.tiff", compression="jpeg")
    assert read_picture(tmp_path / "a.tiff", first).lossy
