"""Images per second: ``fusion.radiomics`` against PyRadiomics as its users run it, on the same cases and cores.

    python -m benchmarks.radiomics --cohort-root ../shared/data/breast --n-cases 24      about 2 minutes on two cores

As its users run it: ``RadiomicsFeatureExtractor()``, ``enableAllFeatures()``, original, wavelet and LoG images, default
settings, the image as one slice of a volume, a pool of one process per core. The two take turns on a few cases at a
time, so that whatever else the machine does slows both. Both have their processes started and warm, both read the
files, and ours also fills its cache.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import joblib
import yaml
from rich.console import Console
from rich.progress import track

from fusion.imaging.lesion import read_lesion
from fusion.radiomics.extract import extract_features
from fusion.records import Case
from fusion.storage import atomic_path

REPOSITORY = Path(__file__).parents[1]
RESULT = REPOSITORY / "benchmarks/results/radiomics.md"
SIGMAS = [1.0, 3.0, 5.0]
TURN = 8


@dataclass
class Contestant:
    """One of the two, with what it has done so far."""

    name: str
    extract: Callable[[Sequence[Case]], Sequence[str]]
    n_images: int = 0
    seconds: float = 0.0
    features: Sequence[str] = field(default_factory=tuple)

    def take_turn(self, cases: Sequence[Case]) -> None:
        begun = time.perf_counter()
        self.features = self.extract(cases)
        self.seconds += time.perf_counter() - begun
        self.n_images += len(cases)

    @property
    def images_per_second(self) -> float:
        return self.n_images / self.seconds


def main() -> None:
    """Measure, print the table and keep it."""
    options = _options()
    n_cores = joblib.effective_n_jobs(-1)
    n_warm_up = 2 * n_cores
    cases = _breast_cases(options.cohort_root, n_warm_up + options.n_cases)
    radiomics = yaml.safe_load((REPOSITORY / "conf/radiomics/ultrasound_2d.yaml").read_text())
    # Not forked: joblib's threads and ITK's do not survive it.
    with get_context("spawn").Pool(n_cores) as pool, tempfile.TemporaryDirectory() as folder:
        contestants = (
            Contestant("PyRadiomics as its users run it", lambda some: pool.map(_extract_as_users_do, some, 1)[0]),
            Contestant("fusion, radiomics=ultrasound_2d", _ours(radiomics, Path(folder))),
        )
        _race(contestants, cases[:n_warm_up], cases[n_warm_up:])
    table = _table(contestants, n_cores, options.command)
    sys.stdout.write(table)
    with atomic_path(RESULT) as temporary:
        temporary.write_text(table)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    breast = REPOSITORY / "../shared/data/breast"
    parser.add_argument("--cohort-root", type=Path, default=breast, help="BrEaST's folder")
    parser.add_argument("--n-cases", type=int, default=24, help="spread over the cohort (24)")
    options = parser.parse_args()
    options.command = " ".join(["python -m benchmarks.radiomics", *sys.argv[1:]])
    return options


def _breast_cases(root: Path, n_cases: int) -> list[Case]:
    import pandas as pd

    table = pd.read_excel(root / "clinical.xlsx").dropna(subset=["Mask_tumor_filename"])
    step = max(len(table) // n_cases, 1)
    folder = root / "images_and_masks"
    return [
        Case(
            case_id=str(row.CaseID),
            patient_id=str(row.CaseID),
            center="breast",
            image=folder / str(row.Image_filename),
            mask=folder / str(row.Mask_tumor_filename),
            label=None,
            clinical={},
        )
        for row in table.iloc[::step].head(n_cases).itertuples()
    ]


def _race(contestants: Sequence[Contestant], warm_up: Sequence[Case], cases: Sequence[Case]) -> None:
    for contestant in contestants:
        # Every process of both has made its extractor before the clock starts.
        contestant.extract(warm_up)
    turns = [cases[start : start + TURN] for start in range(0, len(cases), TURN)]
    for turn in track(turns, "Turns", console=Console(stderr=True)):
        for contestant in contestants:
            contestant.take_turn(turn)


def _ours(radiomics: dict[str, Any], folder: Path) -> Callable[[Sequence[Case]], Sequence[str]]:
    fresh = _folders(folder)

    def extract(cases: Sequence[Case]) -> Sequence[str]:
        return extract_features(cases, radiomics=radiomics, cache_dir=next(fresh)).names

    return extract


def _folders(folder: Path) -> Iterator[Path]:
    number = 0
    while True:
        yield folder / str(number)
        number += 1


def _extract_as_users_do(case: Case) -> list[str]:
    import SimpleITK

    lesion = read_lesion(case)
    image = SimpleITK.GetImageFromArray(lesion.pixels[None])
    mask = SimpleITK.GetImageFromArray(lesion.mask[None].astype("uint8"))
    found = _extractor().execute(image, mask)
    return [name for name in found if not name.startswith("diagnostics")]


@cache
def _extractor() -> Any:
    import radiomics
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    # Its warnings, one per image and feature, would only slow it down.
    radiomics.setVerbosity(60)
    logging.getLogger("radiomics").setLevel(60)
    extractor = RadiomicsFeatureExtractor()
    extractor.enableAllFeatures()
    extractor.enableImageTypes(Original={}, Wavelet={}, LoG={"sigma": SIGMAS})
    return extractor


def _table(contestants: Sequence[Contestant], n_cores: int, command: str) -> str:
    first = contestants[0].images_per_second
    rows = [
        f"| {one.name} | {one.n_images} | {one.images_per_second:.2f} | {one.images_per_second / first:.1f} | "
        f"{len(one.features)} | {sum('log-sigma' in name for name in one.features)} |"
        for one in contestants
    ]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("pyradiomics", "numpy", "SimpleITK"))
    load = os.getloadavg()[0]
    return "\n".join(
        [
            "# Radiomics: images per second",
            "",
            f"`{command}`",
            "",
            f"BrEaST, both on the same cases in turns; {n_cores} processes on {os.cpu_count()} cores, "
            f"load average at the end {load:.1f}; Python {platform.python_version()}, {versions}.",
            "",
            "| | images | images per second | times faster | features | of which LoG |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
