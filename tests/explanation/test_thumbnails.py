from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from fusion.explanation.thumbnails import write_overlay_thumbnail, write_thumbnails
from fusion.imaging.store import Crops


def crop() -> np.ndarray[Any, Any]:
    mask = np.zeros((96, 96), np.uint8)
    mask[30:70, 20:80] = 255
    return np.stack([np.full((96, 96), 90, np.uint8), mask])


def read(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_the_lesion_is_outlined_and_what_has_no_crop_is_left_out(tmp_path: Path) -> None:
    crops = Crops(case_ids=("a/1",), array=crop()[None], key="")
    cases: Any = [SimpleNamespace(case_id="a/1"), SimpleNamespace(case_id="b")]
    write_thumbnails(tmp_path, cases, crops)
    assert [path.name for path in tmp_path.iterdir()] == ["a%2F1.webp"]
    picture = read(tmp_path / "a%2F1.webp")
    assert picture.shape == (112, 112, 3)
    # Yellow on the upper edge, gray within and outside.
    assert picture[35, 56, 0] > 180
    assert picture[35, 56, 0] - picture[35, 56, 2] > 30
    for row in (10, 56):
        assert np.ptp(picture[row, 56]) < 20
    assert (tmp_path / "a%2F1.webp").stat().st_size < 4000


def test_orange_speaks_for_and_blue_against(tmp_path: Path) -> None:
    image, mask = crop()
    pixels = np.zeros((96, 96))
    pixels[:, :40], pixels[:, 56:] = 1, -1
    write_overlay_thumbnail(tmp_path, "a", image=image, mask=np.zeros_like(mask), pixels=pixels)
    picture = read(tmp_path / "a.webp")
    red, _, blue = picture[56, 10]
    assert red > blue + 60
    red, _, blue = picture[56, 100]
    assert blue > red + 60


def test_an_explanation_that_says_nothing_changes_nothing(tmp_path: Path) -> None:
    image, mask = crop()
    write_overlay_thumbnail(tmp_path, "a", image=image, mask=mask * 0, pixels=np.zeros((96, 96)))
    assert np.ptp(read(tmp_path / "a.webp")) < 15
