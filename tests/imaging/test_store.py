import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.errors import InputError
from fusion.imaging import store
from fusion.imaging.crop import crop_lesion
from fusion.imaging.lesion import read_lesion
from fusion.imaging.store import Crops, open_crops
from fusion.records import Case

SETTINGS = {"n_px": 16, "margin": 0.15, "channels": "image"}


@pytest.fixture
def cases(make_case: Callable[..., Case]) -> list[Case]:
    return [make_case(str(number), seed=number) for number in range(4)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the cases that were decoded."""
    ids: list[str] = []

    def counting(case: Case) -> Any:
        ids.append(case.case_id)
        return read_lesion(case)

    monkeypatch.setattr(store, "read_lesion", counting)
    return ids


def open_here(cases: list[Case], tmp_path: Path, **changes: Any) -> Crops:
    return open_crops(cases, imaging=SETTINGS | changes, cache_dir=tmp_path / "cache", n_jobs=2)


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock")


def test_rows_are_the_crops_of_their_cases(cases: list[Case], tmp_path: Path) -> None:
    crops = open_here(cases, tmp_path)
    assert crops.case_ids == ("0", "1", "2", "3")
    assert crops.array.shape == (4, 2, 16, 16)
    for case in cases:
        expected = crop_lesion(read_lesion(case), margin=0.15, n_px=16)
        np.testing.assert_array_equal(crops.array[crops.index(case.case_id)], expected)


def test_the_array_is_a_read_only_memory_map(cases: list[Case], tmp_path: Path) -> None:
    crops = open_here(cases, tmp_path)
    assert isinstance(crops.array, np.memmap)
    assert not crops.array.flags.writeable
    assert [path.suffix for path in files(tmp_path)] == [".json", ".npy"]


def test_a_second_run_decodes_nothing(cases: list[Case], tmp_path: Path, decoded: list[str]) -> None:
    first = open_here(cases, tmp_path)
    assert sorted(decoded) == ["0", "1", "2", "3"]
    second = open_here(cases, tmp_path, channels="image_mask")
    assert len(decoded) == 4
    assert second.key == first.key
    np.testing.assert_array_equal(second.array, first.array)


def test_other_names_of_the_same_files_decode_nothing(cases: list[Case], tmp_path: Path, decoded: list[str]) -> None:
    open_here(cases, tmp_path)
    renamed = open_here([replace(case, case_id=f"x{case.case_id}") for case in cases], tmp_path)
    assert len(decoded) == 4
    assert renamed.index("x2") == 2


@pytest.mark.parametrize("change", [{"n_px": 8}, {"margin": 0.3}])
def test_settings_change_the_key(cases: list[Case], tmp_path: Path, change: dict[str, Any]) -> None:
    first, second = open_here(cases, tmp_path), open_here(cases, tmp_path, **change)
    assert first.key != second.key
    assert not np.array_equal(first.array, second.array)


@pytest.mark.parametrize("change", [{"frame": 0}, {"mask_label": 255}])
def test_frame_and_label_change_the_key(cases: list[Case], tmp_path: Path, change: dict[str, Any]) -> None:
    changed = [replace(cases[0], **change), *cases[1:]]
    assert open_here(cases, tmp_path).key != open_here(changed, tmp_path).key


def test_content_version_and_order_change_the_key(
    cases: list[Case], tmp_path: Path, make_case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {open_here(cases, tmp_path).key, open_here(cases[::-1], tmp_path).key}
    make_case("0", seed=99)
    keys.add(open_here(cases, tmp_path).key)
    monkeypatch.setattr(store, "CROP_VERSION", 0)
    keys.add(open_here(cases, tmp_path).key)
    assert len(keys) == 4


def test_cases_without_image_or_mask_are_left_out(make_case: Callable[..., Case], tmp_path: Path) -> None:
    cases = [make_case("0", image=None), make_case("1"), make_case("2", mask=None)]
    crops = open_here(cases, tmp_path)
    assert crops.case_ids == ("1",)
    assert "1" in crops
    assert "0" not in crops
    with pytest.raises(KeyError, match="2"):
        crops.index("2")


def test_no_crops_at_all(make_case: Callable[..., Case], tmp_path: Path, decoded: list[str]) -> None:
    for _ in range(2):
        assert open_here([make_case("0", image=None)], tmp_path).array.shape == (0, 2, 16, 16)


def test_every_unreadable_case_is_listed_and_nothing_is_left(cases: list[Case], tmp_path: Path) -> None:
    for case in (cases[1], cases[3]):
        assert case.image is not None
        case.image.write_bytes(b"no image")
    with pytest.raises(InputError) as caught:
        open_here(cases, tmp_path)
    assert [problem.where for problem in caught.value.problems] == [
        f"{cases[1].image} (case 1)",
        f"{cases[3].image} (case 3)",
    ]
    assert files(tmp_path) == []


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty])
def test_a_damaged_file_is_decoded_again(
    cases: list[Case],
    tmp_path: Path,
    decoded: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    suffix: str,
) -> None:
    expected = open_here(cases, tmp_path).array.copy()
    damage(next(path for path in files(tmp_path) if path.suffix == suffix))
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(open_here(cases, tmp_path).array, expected)
    assert len(decoded) == 8
    assert "is damaged; the images are decoded again" in caplog.text
    open_here(cases, tmp_path)
    assert len(decoded) == 8


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_half_of_a_pair_is_decoded_again(cases: list[Case], tmp_path: Path, decoded: list[str], suffix: str) -> None:
    open_here(cases, tmp_path)
    next(path for path in files(tmp_path) if path.suffix == suffix).unlink()
    open_here(cases, tmp_path)
    assert len(decoded) == 8


def test_two_processes_at_once(cases: list[Case], tmp_path: Path) -> None:
    program = (
        "import hashlib, json, sys\n"
        "from pathlib import Path\n"
        "from fusion.imaging.store import open_crops\n"
        "from fusion.records import Case\n"
        "rows, cache = json.loads(sys.argv[1]), Path(sys.argv[2])\n"
        "cases = [Case(case_id=i, patient_id=i, center='A', label=None, clinical={}, image=Path(a), mask=Path(b))\n"
        "         for i, a, b in rows]\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for n_px in range(8, 16):\n"
        "    crops = open_crops(cases, imaging={'n_px': n_px, 'margin': 0.15}, cache_dir=cache, n_jobs=1)\n"
        "    print(hashlib.sha256(crops.array.tobytes()).hexdigest())\n"
    )
    rows = json.dumps([(case.case_id, str(case.image), str(case.mask)) for case in cases])
    command = [sys.executable, "-c", program, rows, str(tmp_path / "cache")]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8") for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert [stderr for _, stderr in answers] == ["", ""]
    assert answers[0][0] == answers[1][0]
    assert len(files(tmp_path)) == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"margin": -0.1}, "imaging.margin: required a fraction of 0 or more, came -0.1"),
        ({"margin": float("nan")}, "imaging.margin: required a fraction of 0 or more, came nan"),
        ({"n_px": 0}, "imaging.n_px: required a number of pixels of 1 or more, came 0"),
        ({"n_px": 96.5}, "imaging.n_px: required a number of pixels of 1 or more, came 96.5"),
    ],
)
def test_bad_settings(cases: list[Case], tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_here(cases, tmp_path, **change)
    assert message in str(caught.value)
