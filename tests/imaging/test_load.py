from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusion.errors import InputError
from fusion.imaging.load import load, pick_frame

GRAY = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff"])
@pytest.mark.parametrize("kept", [0.02, 0.6])
def test_truncated_pictures_are_problems(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(GRAY).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError) as caught:
        load(path, pick=lambda n_frames: 0)
    assert f"{path}: required a readable PNG, JPEG, BMP, TIFF, DICOM, NIfTI, NRRD or MHA image, came " in str(
        caught.value
    )
    assert "Mend these files" in str(caught.value)


def test_a_compressed_tiff_that_is_truncated_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    Image.fromarray(GRAY).save(path, compression="tiff_lzw")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InputError, match=r"a\.tiff: required a readable"):
        load(path, pick=lambda n_frames: 0)


def test_other_content_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("ID,Case\n")
    with pytest.raises(InputError, match=r"a\.png: required a readable PNG, .* image, came UnidentifiedImageError"):
        load(tmp_path / "a.png", pick=lambda n_frames: 0)


def test_an_absent_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png: required a readable PNG, .* image, came no such file"):
        load(tmp_path / "a.png", pick=lambda n_frames: 0)


def test_a_jpeg_named_png_is_read(tmp_path: Path) -> None:
    Image.fromarray(GRAY).save(tmp_path / "a.png", format="JPEG")
    assert load(tmp_path / "a.png", pick=partial(pick_frame, tmp_path / "a.png", None)).lossy


@pytest.mark.parametrize(("frame", "n_frames", "picked"), [(None, 1, 0), (0, 1, 0), (2, 3, 2), (0, 3, 0)])
def test_frames_that_are_there(frame: int | None, n_frames: int, picked: int) -> None:
    assert pick_frame(Path("a.dcm"), frame, n_frames) == picked


@pytest.mark.parametrize(
    ("frame", "n_frames", "message"),
    [
        (None, 10, "a.dcm: required the table to choose one of its 10 frames, counted from 0, came no frame"),
        (10, 10, "a.dcm: required a frame from 0 to 9, came frame 10"),
        (-1, 10, "a.dcm: required a frame from 0 to 9, came frame -1"),
        (4, 1, "a.dcm: required frame 0, the only one, came frame 4"),
    ],
)
def test_frames_that_are_not(frame: int | None, n_frames: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        pick_frame(Path("a.dcm"), frame, n_frames)
    assert [str(problem) for problem in caught.value.problems] == [message]
