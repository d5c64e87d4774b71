from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion.explanation.overlay import write_overlay


def arguments(**changes: Any) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[8:20, 6:26] = 255
    image = draw.integers(0, 256, (32, 32), dtype=np.uint8)
    return {"image": image, "mask": mask, "pixels": draw.normal(size=(32, 32)), "caption": "case 1"} | changes


def test_a_picture_is_written_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_overlay(tmp_path / f"images/{name}.png", **arguments())
    assert (tmp_path / "images/a.png").read_bytes() == (tmp_path / "images/b.png").read_bytes()
    with Image.open(tmp_path / "images/a.png") as picture:
        assert picture.size == (500, 275)


def test_what_speaks_for_the_positive_label_is_orange_and_what_speaks_against_it_blue(tmp_path: Path) -> None:
    gray = np.full((32, 32), 128, dtype=np.uint8)
    means = {}
    for sign in (1.0, -1.0):
        still = arguments(image=gray, mask=np.zeros_like(gray), pixels=np.full((32, 32), sign))
        write_overlay(tmp_path / "picture.png", **still)
        with Image.open(tmp_path / "picture.png") as picture:
            right = np.asarray(picture.convert("RGB"), dtype=float)[:, 300:450]
        means[sign] = (right[..., 0] - right[..., 2]).mean()
    assert means[1.0] > 40
    assert means[-1.0] < -40


@pytest.mark.parametrize("value", [0, 255])
def test_attributions_of_zero_and_a_mask_without_a_contour_are_drawn(tmp_path: Path, value: int) -> None:
    mask = np.full((32, 32), value, dtype=np.uint8)
    write_overlay(tmp_path / "picture.png", **arguments(mask=mask, pixels=np.zeros((32, 32))))
    assert (tmp_path / "picture.png").stat().st_size > 0


@pytest.mark.parametrize("caption", [r"case $\frac$: outcome $", "a_b^c {x}", "case 1\nsecond line"])
def test_a_caption_is_text_and_no_formula(tmp_path: Path, caption: str) -> None:
    write_overlay(tmp_path / "picture.png", **arguments(caption=caption))
    assert (tmp_path / "picture.png").exists()
