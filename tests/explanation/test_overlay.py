from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion.explanation.overlay import Panel, write_panels


def arguments(**changes: Any) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[8:20, 6:26] = 255
    image = draw.integers(0, 256, (32, 32), dtype=np.uint8)
    return {"image": image, "mask": mask, "caption": "case 1"} | changes


def panels(path: Path, *values: Any, **changes: Any) -> Any:
    still = arguments(**changes)
    drawn = [Panel(title="Method\n50% in the lesion", values=value, note="In this fold faithful") for value in values]
    write_panels(
        path, image=still["image"], mask=still["mask"], panels=drawn, positive="$a_b$", caption=still["caption"]
    )
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=float)


def test_a_picture_has_a_panel_an_explanation_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(32, 32))
    for name in ("a", "b"):
        drawn = panels(tmp_path / f"{name}.png", values, values, caption=r"case $\frac$")
    assert drawn.shape == (349, 720, 3)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_for_is_orange_and_against_is_blue_in_panels_of_one_size(tmp_path: Path) -> None:
    gray = np.full((32, 32), 128, dtype=np.uint8)
    ones = np.ones((32, 32))
    drawn = panels(tmp_path / "picture.png", ones, -ones, ones * 0, image=gray, mask=np.zeros_like(gray))
    plain, orange, blue, nothing = (drawn[120:220, 240 * i + 60 : 240 * i + 180].mean((0, 1)) for i in range(4))
    assert orange[0] - orange[2] > 40
    assert blue[0] - blue[2] < -40
    np.testing.assert_allclose(plain, nothing, atol=1)


@pytest.mark.parametrize("value", [0, 255])
def test_attributions_of_zero_and_a_mask_without_a_contour_are_drawn(tmp_path: Path, value: int) -> None:
    mask = np.full((32, 32), value, dtype=np.uint8)
    assert panels(tmp_path / "picture.png", np.zeros((32, 32)), mask=mask).size > 0


@pytest.mark.parametrize("caption", [r"case $\frac$: outcome $", "a_b^c {x}", "case 1\nsecond line"])
def test_a_caption_is_text_and_no_formula(tmp_path: Path, caption: str) -> None:
    assert panels(tmp_path / "picture.png", np.zeros((32, 32)), caption=caption).size > 0


def test_a_long_verdict_stays_below_its_panel(tmp_path: Path) -> None:
    gray = np.zeros((32, 32), dtype=np.uint8)
    note = "In this fold unfaithful: deletion does no better than random; survives a randomized network " * 2
    panel = Panel(title="Method", values=np.zeros((32, 32)), note=note)
    write_panels(tmp_path / "picture.png", image=gray, mask=gray, panels=[panel], positive="b", caption="case")
    with Image.open(tmp_path / "picture.png") as picture:
        drawn = np.asarray(picture.convert("L"))
    assert (drawn[:, -2:] > 250).any()
    assert (drawn[-3:] == 255).all()
