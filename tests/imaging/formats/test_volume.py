from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from fusion.errors import InputError
from fusion.imaging.formats.volume import read_volume
from fusion.imaging.masks import read_mask
from fusion.imaging.read import read_pixels

SUFFIXES = ["nii", "nii.gz", "nrrd", "mha"]
# Not square, and different in each corner: a turned or mirrored image would show.
GRAY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_depth_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(GRAY), path)
    np.testing.assert_array_equal(read_pixels(path, frame=None), GRAY)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_image_and_mask_agree_whatever_direction_the_header_claims(tmp_path: Path, suffix: str) -> None:
    image: Any = SimpleITK.GetImageFromArray(GRAY[np.newaxis])
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    SimpleITK.WriteImage(image, tmp_path / f"image.{suffix}")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray((GRAY > 100).astype(np.uint8)), tmp_path / f"mask.{suffix}")
    pixels = read_pixels(tmp_path / f"image.{suffix}", frame=None)
    mask = read_mask(tmp_path / f"mask.{suffix}", label=None, shape=pixels.shape, frame=None)
    np.testing.assert_array_equal(pixels, GRAY)
    np.testing.assert_array_equal(mask, GRAY > 100)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_stack_needs_its_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.stack([GRAY, GRAY + 5])), path)
    np.testing.assert_array_equal(read_pixels(path, frame=1), GRAY + 5)
    with pytest.raises(InputError, match="choose one of its 2 frames, counted from 0, came no frame"):
        read_pixels(path, frame=None)


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii.gz"])
def test_colors_become_luminance(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]] * 2, dtype=np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(rgb, isVector=True), path)
    np.testing.assert_array_equal(read_pixels(path, frame=None), [[76, 150, 29]] * 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_four_dimensions_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    stack = SimpleITK.GetImageFromArray(np.stack([GRAY, GRAY]))
    join: Any = SimpleITK.JoinSeries
    SimpleITK.WriteImage(join([stack, stack]), path)
    with pytest.raises(InputError, match=r"required a 2D image .*, came 4 dimensions \(3 x 2 x 2 x 2\), 1 channels"):
        read_volume(path, lambda n_frames: 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_file_is_a_problem(tmp_path: Path, suffix: str, compressed: bool) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(noise), path, useCompression=compressed)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=rf"a\.{suffix}: required "):
        read_pixels(path, frame=None)
