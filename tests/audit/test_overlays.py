from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fusion.audit.overlays import burned_in


def cross(pixels: np.ndarray, row: int, column: int) -> np.ndarray:
    marked = pixels.copy()
    arm = np.arange(-5, 6)
    marked[row + arm, column] = marked[row, column + arm] = 250
    return marked


def text(pixels: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(pixels)
    ImageDraw.Draw(image).text(place, "MAMA", fill=255, font=ImageFont.load_default(14))
    return np.asarray(image)


def test_calipers_in_the_lesion_are_counted_by_label(planted: Any) -> None:
    for case_id in ("c0", "c2", "c6"):
        planted.save(case_id, cross(planted.pixels(case_id), 45, 60))
    finding = planted.only(burned_in(*planted.measured()), "calipers_in_lesion")
    assert finding.cases == ("c0", "c2", "c6")
    assert finding.figures["patients_with_and_without_by_label"] == {"benign": [1, 23], "malignant": [2, 22]}
    # fisher.test(matrix(c(1, 2, 23, 22), 2))$p.value in R
    assert np.isclose(finding.figures["fisher_p"], 1.0)
    assert [mark["row"] for mark in finding.details[0]["marks"]] == [45]


def test_calipers_on_one_label_only_tell_the_outcome(planted: Any) -> None:
    for row in planted.rows:
        if row["Outcome"] == "malignant":
            planted.save(row["ID"], cross(planted.pixels(row["ID"]), 45, 60))
    finding = planted.only(planted.audit().findings, "column_tells_outcome")
    assert (finding.where, finding.severity) == ("calipers in the lesion", "error")


def test_text_in_the_lesion_is_a_warning_and_elsewhere_a_note(planted: Any) -> None:
    planted.save("c0", text(planted.pixels("c0"), (40, 38)))
    planted.save("c1", text(planted.pixels("c1"), (5, 1)))
    findings = {finding.kind: finding for finding in burned_in(*planted.measured())}
    assert {kind: finding.severity for kind, finding in findings.items()} == {
        "text_in_lesion": "warning",
        "text_in_image": "note",
    }
    assert findings["text_in_lesion"].cases == ("c0",)
    assert findings["text_in_image"].cases == ("c1",)
