"""A small cohort on disk in which nothing is wrong, for tests to plant defects into."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.ndimage import gaussian_filter

from fusion.audit.audit import Audit, audit_cohort
from fusion.audit.finding import Finding
from fusion.audit.measure import Measures, measure_cases
from fusion.cohorts.load import load_cohort
from fusion.records import Case, Cohort

REPOSITORY = Path(__file__).parents[2]
N_PATIENTS = 48
SHAPE = (90, 120)


def speckle(seed: int) -> np.ndarray:
    """(90, 120) uint8 of smooth noise around 90, another one for each seed."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 2.0)
    return np.clip(90 + 25 * noise / noise.std(), 0, 180).astype(np.uint8)


def ellipse(seed: int) -> np.ndarray:
    """(90, 120) bool with one lesion well inside."""
    rng = np.random.default_rng(seed + 1000)
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    down, right = rng.uniform(14, 18), rng.uniform(20, 26)
    return np.asarray(((rows - 45) / down) ** 2 + ((columns - 60) / right) ** 2 <= 1)


@dataclass
class Planted:
    """A cohort that can be spoiled before it is audited."""

    root: Path
    config: dict[str, Any]
    rows: list[dict[str, str]] = field(default_factory=list)

    def save(self, case_id: str, pixels: np.ndarray) -> None:
        Image.fromarray(pixels).save(self.root / f"{case_id}.png")

    def save_mask(self, case_id: str, mask: np.ndarray) -> None:
        Image.fromarray(mask.astype(np.uint8) * 255).save(self.root / f"{case_id}_mask.png")

    def pixels(self, case_id: str) -> np.ndarray:
        return np.asarray(Image.open(self.root / f"{case_id}.png"))

    def set(self, column: str, value_of: Callable[[int, Mapping[str, str]], str]) -> None:
        for i, row in enumerate(self.rows):
            row[column] = value_of(i, row)

    def write(self) -> None:
        with (self.root / "table.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)

    def cohort(self) -> Cohort:
        """From the table alone, which is faster than an audit."""
        self.write()
        return load_cohort(self.config, cache_dir=self.root / "cache", require_labels=True)

    def audit(self) -> Audit:
        self.write()
        return audit_cohort(self.config, cache_dir=self.root / "cache")

    def measured(self) -> tuple[tuple[Case, ...], dict[str, Measures]]:
        """From the images alone."""
        cases = self.cohort().cases
        return cases, measure_cases(cases)[0]

    @staticmethod
    def only(findings: Iterable[Finding], kind: str) -> Finding:
        """The only finding of a kind."""
        (found,) = [finding for finding in findings if finding.kind == kind]
        return found


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images and masks of the clean cohort, which each test copies."""
    cohort = Planted(tmp_path_factory.mktemp("pictures"), {})
    for i in range(N_PATIENTS):
        cohort.save(f"c{i}", speckle(i))
        cohort.save_mask(f"c{i}", ellipse(i))
    return cohort.root


@pytest.fixture
def planted(tmp_path: Path, pictures: Path) -> Planted:
    base = yaml.safe_load((REPOSITORY / "conf/cohort/table.yaml").read_text())
    root = Path(shutil.copytree(pictures, tmp_path / "data"))
    mine: dict[str, Any] = {
        "name": "planted",
        "root": str(root),
        "table": "table.csv",
        "key": "ID",
        "center": "Hospital",
        "image": "{ID}.png",
        "mask": "{ID}_mask.png",
        "label": {"column": "Outcome", "names": ["benign", "malignant"]},
        "clinical": {
            "Age": {"kind": "number"},
            "Echo": {"kind": "category"},
            "Signs": {"kind": "set", "separator": "&"},
        },
    }
    cohort = Planted(root, {**base, **mine})
    rng = np.random.default_rng(5)
    for i in range(N_PATIENTS):
        cohort.rows.append(
            {
                "ID": f"c{i}",
                "Hospital": ("north", "south")[i % 2],
                "Outcome": ("benign", "malignant")[i // 2 % 2],
                "Age": str(rng.integers(20, 80)),
                "Echo": str(rng.choice(["low", "middle", "high"])),
                "Signs": str(rng.choice(["pain", "palpable", "pain&palpable"])),
            }
        )
    return cohort
