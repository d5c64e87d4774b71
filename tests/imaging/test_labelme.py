import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.errors import InputError
from fusion.imaging.labelme import read_labelme


def write(path: Path, *shapes: dict[str, Any], **changes: Any) -> Path:
    path.write_text(json.dumps({"imageHeight": 7, "imageWidth": 9, "shapes": shapes} | changes))
    return path


def picture(values: Any) -> list[str]:
    return ["".join(".#"[int(value > 0)] for value in row) for row in values]


def test_a_triangle_includes_its_outline(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", {"label": "t", "shape_type": "polygon", "points": [[1, 1], [5, 1], [1, 5]]})
    expected = [".........", ".#####...", ".####....", ".###.....", ".##......", ".#.......", "........."]
    assert picture(read_labelme(path, label=None, shape=(7, 9))) == expected


def test_a_rectangle_dragged_from_any_corner(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", {"label": "t", "shape_type": "rectangle", "points": [[6, 1], [2, 4]]})
    values = read_labelme(path, label=None, shape=(7, 9))
    expected = np.zeros((7, 9))
    expected[1:5, 2:7] = 1
    np.testing.assert_array_equal(values, expected)


def test_a_circle_is_its_center_and_a_point_on_it(tmp_path: Path) -> None:
    path = write(tmp_path / "m.json", {"label": "t", "shape_type": "circle", "points": [[4, 3], [4, 5]]})
    expected = [".........", "...###...", "..#####..", "..#####..", "..#####..", "...###...", "........."]
    assert picture(read_labelme(path, label=None, shape=(7, 9))) == expected


def test_labels_choose_shapes(tmp_path: Path) -> None:
    one = {"label": "1", "shape_type": "rectangle", "points": [[0, 0], [1, 1]]}
    two = {"label": "2", "shape_type": "rectangle", "points": [[5, 5], [6, 5]]}
    path = write(tmp_path / "m.json", one, two)
    assert np.count_nonzero(read_labelme(path, label=None, shape=(7, 9))) == 6
    second = read_labelme(path, label=2, shape=(7, 9))
    assert np.count_nonzero(second == 2) == 2
    assert np.count_nonzero(second) == 2


def test_without_a_size_of_its_own_the_image_has_it(tmp_path: Path) -> None:
    shape = {"label": "1", "points": [[0, 0], [3, 0], [3, 3]]}
    path = write(tmp_path / "m.json", shape, imageHeight=None, imageWidth=None)
    assert read_labelme(path, label=None, shape=(5, 6)).shape == (5, 6)


@pytest.mark.parametrize(
    ("shapes", "label", "message"),
    [
        ([], None, "required a shape, came no shapes"),
        ([{"label": "tumor", "points": [[0, 0], [3, 0], [3, 3]]}], 2, "required a shape labeled '2', came 'tumor'"),
        ([{"label": "1", "shape_type": "point", "points": [[0, 0]]}], None, "2 points, came a point of 1 points"),
        ([{"label": "1", "points": [[0, 0], [3, 0]]}], None, "came a polygon of 2 points"),
        ([{"label": "1", "shape_type": "circle", "points": [[0, 0]] * 3}], None, "came a circle of 3 points"),
    ],
    ids=["none", "label", "type", "line", "circle"],
)
def test_bad_shapes(tmp_path: Path, shapes: list[dict[str, Any]], label: int | None, message: str) -> None:
    path = write(tmp_path / "m.json", *shapes)
    with pytest.raises(InputError) as caught:
        read_labelme(path, label=label, shape=(7, 9))
    assert f"{path}: required " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"shapes": [{"label": 1}]}', '{"shapes": [{"points": 1}]}'])
def test_other_json_is_a_problem(tmp_path: Path, content: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"m\.json: required a readable LabelMe JSON file, came \w+Error: "):
        read_labelme(path, label=1 if "label" in content else None, shape=(7, 9))
