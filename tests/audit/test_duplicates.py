from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion.audit.duplicates import duplicate_images


def resaved(pixels: np.ndarray) -> np.ndarray:
    small = np.asarray(Image.fromarray(pixels).resize((100, 75)))
    return np.clip(0.8 * small + 10, 0, 255).astype(np.uint8)


def resize_mask(planted: Any, source: str, target: str) -> None:
    mask = Image.open(planted.root / f"{source}_mask.png").resize((100, 75), Image.Resampling.NEAREST)
    mask.save(planted.root / f"{target}_mask.png")


def test_the_same_picture_of_two_patients_with_different_labels_is_an_error(planted: Any) -> None:
    planted.save("c2", planted.pixels("c1"))
    finding = planted.only(duplicate_images(*planted.measured()), "duplicate_images_with_different_labels")
    assert finding.severity == "error"
    assert finding.cases == ("c1", "c2")
    (detail,) = finding.details
    assert detail["how"] == "the same pixels"
    assert detail["labels"] == ["benign", "malignant"]


def test_a_picture_saved_again_at_another_size_and_brightness_is_a_warning(planted: Any) -> None:
    planted.save("c5", resaved(planted.pixels("c1")))
    resize_mask(planted, "c1", "c5")
    finding = planted.only(duplicate_images(*planted.measured()), "duplicate_images")
    assert finding.severity == "warning"
    assert finding.details[0]["cases"] == ["c1", "c5"]
    assert finding.figures == {"n_pairs": 1, "n_same_pixels": 0, "n_bits": 256, "max_distance": 48}


def test_a_mirror_image_is_found(planted: Any) -> None:
    planted.save("c5", planted.pixels("c1")[:, ::-1])
    (finding,) = duplicate_images(*planted.measured())
    assert finding.details[0]["how"] == "one is the mirror image of the other"


def test_a_picture_cut_otherwise_is_found_by_its_lesion(planted: Any) -> None:
    planted.save("c5", planted.pixels("c1")[20:])
    planted.save_mask("c5", np.asarray(Image.open(planted.root / "c1_mask.png"))[20:] > 0)
    (finding,) = duplicate_images(*planted.measured())
    assert finding.details[0]["how"] == "the lesions are nearly the same"


def test_two_views_of_one_patient_are_no_finding(planted: Any) -> None:
    planted.config["patient"] = "Patient"
    planted.set("Patient", lambda i, row: "p1" if i in (1, 5) else f"p{row['ID']}")
    planted.save("c5", planted.pixels("c1"))
    assert duplicate_images(*planted.measured()) == []


@pytest.mark.parametrize("n", [3])
def test_three_copies_are_three_pairs(planted: Any, n: int) -> None:
    for case_id in ("c5", "c9")[: n - 1]:
        planted.save(case_id, planted.pixels("c1"))
    assert planted.only(duplicate_images(*planted.measured()), "duplicate_images").figures["n_same_pixels"] == 3
