from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusion.errors import InputError
from fusion.imaging.lesion import Lesion, read_lesion
from fusion.records import Case

DATA = Path(__file__).parents[2] / "../shared/data"


def test_image_and_mask_are_read_together(make_case: Callable[..., Case]) -> None:
    lesion = read_lesion(make_case("7"))
    assert lesion.pixels.shape == lesion.mask.shape == (30, 40)
    assert lesion.pixels.dtype == np.float32
    assert lesion.mask.sum() == 160


@pytest.mark.parametrize("absent", ["image", "mask"])
def test_a_case_without_image_or_mask_is_no_lesion(make_case: Callable[..., Case], absent: str) -> None:
    with pytest.raises(ValueError, match="case '7' has no image or no mask"):
        read_lesion(make_case("7", **{absent: None}))


def test_problems_name_file_and_case(make_case: Callable[..., Case]) -> None:
    case = make_case("7")
    assert case.mask is not None
    Image.new("L", (40, 29), 255).save(case.mask)
    with pytest.raises(InputError) as caught:
        read_lesion(case)
    expected = "required the image's size, 30 rows and 40 columns, came 29 rows and 40 columns"
    assert [str(problem) for problem in caught.value.problems] == [f"{case.mask} (case 7): {expected}"]


def test_an_unreadable_image_names_file_and_case(make_case: Callable[..., Case]) -> None:
    case = make_case("7")
    assert case.image is not None
    case.image.write_bytes(case.image.read_bytes()[:300])
    with pytest.raises(InputError, match=r"7\.png \(case 7\): required a readable PNG, .* came OSError: .*truncated"):
        read_lesion(case)


def test_frame_and_label_come_from_the_case(make_case: Callable[..., Case]) -> None:
    with pytest.raises(InputError, match=r"7\.png \(case 7\): required frame 0, the only one, came frame 3"):
        read_lesion(make_case("7", frame=3))
    with pytest.raises(InputError, match=r"7_mask\.png \(case 7\): required label 2, came labels 255"):
        read_lesion(make_case("7", mask_label=2))


def test_a_lesion_keeps_its_promises() -> None:
    pixels = np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="with 0 pixels"):
        Lesion(pixels=pixels, mask=np.zeros((2, 3), dtype=bool))
    with pytest.raises(ValueError, match=r"image \(2, 3\), mask \(3, 2\)"):
        Lesion(pixels=pixels, mask=np.ones((3, 2), dtype=bool))


def real_cases(folder: str, pattern: str, image_of: Callable[[Path], Path]) -> list[Case]:
    if not (DATA / folder).is_dir():
        pytest.skip(f"the {folder} cohort is not beside the project")
    return [
        Case(case_id=m.stem, patient_id=m.stem, center="", image=image_of(m), mask=m, label=None, clinical={})
        for m in sorted((DATA / folder).glob(pattern))
    ]


@pytest.mark.real_data
def test_breast_pairs_are_read() -> None:
    cases = real_cases("breast", "images_and_masks/*_tumor.png", lambda m: m.with_name(m.name.replace("_tumor", "")))
    assert len(cases) == 252
    for case in cases[::13]:
        lesion = read_lesion(case)
        assert lesion.pixels.max() > 100
        assert 0.001 < lesion.mask.mean() < 0.7


@pytest.mark.real_data
def test_busbra_pairs_are_read() -> None:
    cases = real_cases("busbra", "Masks/*.png", lambda m: m.parents[1] / "Images" / m.name.replace("mask_", "bus_"))
    assert len(cases) == 1127
    for case in cases[::57]:
        lesion = read_lesion(case)
        assert lesion.pixels.max() > 100
        assert 0.001 < lesion.mask.mean() < 0.7
