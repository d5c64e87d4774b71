from typing import Any

import numpy as np

from fusion.audit.masks import odd_masks


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((90, 120), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_mask_at_the_border(planted: Any) -> None:
    planted.save_mask("c3", box(40, 80, 90, 120))
    planted.save_mask("c4", box(1, 1, 60, 60))
    finding = planted.only(odd_masks(*planted.measured()), "mask_touches_border")
    assert finding.details == ({"case": "c3", "borders": ["bottom", "right"]},)


def test_a_tiny_mask(planted: Any) -> None:
    planted.save_mask("c3", box(40, 40, 50, 59))
    planted.save_mask("c4", box(40, 40, 50, 60))
    finding = planted.only(odd_masks(*planted.measured()), "tiny_mask")
    assert finding.cases == ("c3",)
    assert finding.details[0]["area_px"] == 190


def test_a_mask_of_nearly_everything(planted: Any) -> None:
    planted.save_mask("c3", box(1, 1, 89, 119))
    assert planted.only(odd_masks(*planted.measured()), "mask_covers_image").cases == ("c3",)


def test_a_mask_with_a_stray_part(planted: Any) -> None:
    stray = box(30, 40, 60, 80)
    stray[5, 5:8] = True
    planted.save_mask("c3", stray)
    diagonal = box(30, 40, 60, 80)
    diagonal[60, 80] = True  # touches by a corner: one part
    planted.save_mask("c4", diagonal)
    finding = planted.only(odd_masks(*planted.measured()), "mask_with_several_parts")
    assert finding.details == ({"case": "c3", "parts_px": [1200, 3]},)
