"""Small lesions on disk, and the shipped settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from fusion.records import Case

CONF = Path(__file__).parents[2] / "conf/radiomics"

# What a user's script would do, in a process that can be killed.
SCRIPT = """
import sys, json
from pathlib import Path
import yaml
from fusion.radiomics.extract import extract_features
from fusion.records import Case

folder, cache_dir, config = Path(sys.argv[1]), Path(sys.argv[2]), yaml.safe_load(sys.argv[3])

if __name__ == "__main__":
    cases = [
        Case(case_id=image.stem, patient_id=image.stem, center="c", image=image,
             mask=image.with_name(image.stem + ".mask.png"), label=None, clinical={})
        for image in sorted(folder.glob("[0-9]*.png")) if ".mask" not in image.name
    ]
    table = extract_features(cases, radiomics=config, cache_dir=cache_dir)
    print(json.dumps({"ids": table.case_ids, "n": len(table.names), "hex": table.values.tobytes().hex()}))
"""


@pytest.fixture
def pyradiomics() -> None:
    """Skips what has to extract."""
    if util.find_spec("radiomics") is None:
        pytest.skip("PyRadiomics does not exist for Python 3.12 and later")


def load(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    return {**config, "n_jobs": 1}


@pytest.fixture
def radiomics() -> dict[str, Any]:
    """conf/radiomics/ultrasound_2d.yaml in one process."""
    return load("ultrasound_2d")


@pytest.fixture
def single_slice() -> dict[str, Any]:
    return load("single_slice_3d")


@pytest.fixture
def original_only(radiomics: dict[str, Any]) -> dict[str, Any]:
    """The quickest settings: first order on the unfiltered image, 18 features."""
    settings = {**radiomics["settings"], "imageType": {"Original": {}}, "featureClass": {"firstorder": None}}
    return {**radiomics, "settings": settings}


def draw_lesion(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Speckle around a darker ellipse, (61, 74)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:61, :74]
    mask = ((rows - 32) / 13) ** 2 + ((columns - 36) / (15 + seed % 5)) ** 2 < 1
    pixels = rng.rayleigh(np.where(mask, 35, 70), size=mask.shape).clip(0, 255).astype(np.uint8)
    return pixels, mask


@pytest.fixture
def lesion() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return draw_lesion(1)


@pytest.fixture
def make_cases(tmp_path: Path) -> Callable[[int], list[Case]]:
    """Writes lesions as PNG, masks as 0 and 255."""

    def make(n_cases: int) -> list[Case]:
        folder = tmp_path / "images"
        folder.mkdir()
        cases = []
        for number in range(n_cases):
            pixels, mask = draw_lesion(number)
            image_path, mask_path = folder / f"{number:02}.png", folder / f"{number:02}.mask.png"
            Image.fromarray(pixels).save(image_path)
            Image.fromarray(mask.astype(np.uint8) * 255).save(mask_path)
            cases.append(
                Case(
                    case_id=f"{number:02}",
                    patient_id=f"{number:02}",
                    center="c",
                    image=image_path,
                    mask=mask_path,
                    label=None,
                    clinical={},
                )
            )
        return cases

    return make


@pytest.fixture
def start_extraction(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts an extraction of all that `make_cases` wrote in another process; it prints the table as JSON."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(config: dict[str, Any], cache_dir: Path, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tmp_path / "images"), str(cache_dir), yaml.safe_dump(config)]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )

    return start
