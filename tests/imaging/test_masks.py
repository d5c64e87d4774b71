import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion.errors import InputError
from fusion.imaging.masks import read_mask

LESION = np.zeros((4, 6), dtype=bool)
LESION[1:3, 2:5] = True


def save(path: Path, values: Any) -> Path:
    Image.fromarray(values).save(path)
    return path


def read(path: Path, label: int | None = None, frame: int | None = None) -> Any:
    return read_mask(path, label=label, shape=(4, 6), frame=frame)


@pytest.mark.parametrize("high", [1, 255, 7])
def test_everything_above_0_is_lesion(tmp_path: Path, high: int) -> None:
    mask = read(save(tmp_path / "m.png", (LESION * high).astype(np.uint8)))
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, LESION)


def test_one_bit(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(save(tmp_path / "m.png", LESION)), LESION)


def test_a_label_is_picked_and_the_others_are_not(tmp_path: Path) -> None:
    values = LESION.astype(np.uint16) * 300
    values[0, 0] = 2
    path = save(tmp_path / "m.png", values)
    np.testing.assert_array_equal(read(path, label=300), LESION)
    assert read(path).sum() == LESION.sum() + 1
    assert read(path, label=2).sum() == 1


def test_colors_count_and_alpha_does_not(tmp_path: Path) -> None:
    # As in BrEaST, where the background is transparent and one lesion half so.
    rgba = np.zeros((4, 6, 4), dtype=np.uint8)
    rgba[..., 3] = 200
    rgba[LESION] = (255, 0, 0, 75)
    path = save(tmp_path / "m.png", rgba)
    np.testing.assert_array_equal(read(path), LESION)
    np.testing.assert_array_equal(read(path, label=255), LESION)


def test_a_palette_mask_holds_indices(tmp_path: Path) -> None:
    image = Image.fromarray(LESION.astype(np.uint8) * 2, "L").convert("P")
    image.putpalette([90, 90, 90, 1, 2, 3, 0, 0, 0])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read(tmp_path / "m.png", label=2), LESION)


def test_a_jpeg_is_cut_half_way(tmp_path: Path) -> None:
    lesion = np.zeros((64, 64), dtype=np.uint8)
    lesion[19:45, 13:50] = 255
    path = tmp_path / "m.jpg"
    Image.fromarray(lesion).save(path, quality=60)
    assert np.count_nonzero(np.asarray(Image.open(path))) > np.count_nonzero(lesion) + 50
    mask = read_mask(path, label=None, shape=(64, 64), frame=None)
    assert np.count_nonzero(mask != (lesion > 0)) < 5
    with pytest.raises(InputError, match=r"m\.jpg: required a lossless format .* to hold label 2, came a JPEG"):
        read_mask(path, label=2, shape=(64, 64), frame=None)


def test_the_frame_counts_only_where_there_are_several(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.roll(LESION, n, axis=1).astype(np.uint8)) for n in range(3)]
    pages[0].save(tmp_path / "m.tiff", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read(tmp_path / "m.tiff", frame=1), np.roll(LESION, 1, axis=1))
    single = save(tmp_path / "m.png", LESION)
    np.testing.assert_array_equal(read(single, frame=12), LESION)
    with pytest.raises(InputError, match=r"m\.tiff: required a frame from 0 to 2, came frame 12"):
        read(tmp_path / "m.tiff", frame=12)


def test_labelme_polygons(tmp_path: Path) -> None:
    points = [[2, 1], [4, 1], [4, 2], [2, 2]]
    content = {"imageHeight": 4, "imageWidth": 6, "shapes": [{"label": "1", "points": points}]}
    (tmp_path / "m.json").write_text(json.dumps(content))
    np.testing.assert_array_equal(read(tmp_path / "m.json"), LESION)
    np.testing.assert_array_equal(read(tmp_path / "m.json", label=1), LESION)


@pytest.mark.parametrize(
    ("values", "label", "message"),
    [
        (np.ones((6, 4)), None, "the image's size, 4 rows and 6 columns, came 6 rows and 4 columns (rows and columns "),
        (np.ones((4, 5)), None, "required the image's size, 4 rows and 6 columns, came 4 rows and 5 columns"),
        (LESION * 0, None, "required at least one lesion pixel, came an empty mask"),
        (LESION * 0, 3, "required at least one lesion pixel, came an empty mask"),
        (LESION * 2 + np.eye(4, 6), 9, "required label 9, came labels 1, 2, 3"),
        (np.arange(24).reshape(4, 6), 99, "came labels 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 13 more"),
    ],
    ids=["turned", "size", "empty", "empty with a label", "label absent", "many labels"],
)
def test_bad_masks(tmp_path: Path, values: Any, label: int | None, message: str) -> None:
    path = save(tmp_path / "m.png", values.astype(np.uint8))
    with pytest.raises(InputError) as caught:
        read(path, label=label)
    assert f"{path}: required " in str(caught.value)
    assert message in str(caught.value)
