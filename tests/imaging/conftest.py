from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion.records import Case


@pytest.fixture
def make_case(tmp_path: Path) -> Callable[..., Case]:
    """A case with a 30 x 40 image and a mask of rows 10 to 19, columns 12 to 27, each seed another image."""

    def make(case_id: str, *, seed: int = 0, **changes: Any) -> Case:
        image, mask = tmp_path / f"{case_id}.png", tmp_path / f"{case_id}_mask.png"
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (30, 40), dtype=np.uint8)).save(image)
        lesion = np.zeros((30, 40), dtype=np.uint8)
        lesion[10:20, 12:28] = 255
        Image.fromarray(lesion).save(mask)
        known: dict[str, Any] = {
            "patient_id": case_id,
            "center": "A",
            "label": None,
            "clinical": {},
            "image": image,
            "mask": mask,
        }
        return Case(case_id=case_id, **(known | changes))

    return make
