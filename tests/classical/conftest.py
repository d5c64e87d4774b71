"""A small cohort of images made of numbers, and a configuration that fine-tunes the smallest backbone on them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from number_cohort import CONFIG, change, config, data, drop, make_data
from numpy.typing import NDArray

from fusion.classical.fit import Fitting
from fusion.classical.rows import Sources
from fusion.imaging.store import Crops
from fusion.records import Case, Cohort

__all__ = ["config", "data", "drop", "make_data"]

N_PX, N_PATIENTS = 32, 24
DEEP_CONFIG = change(
    CONFIG,
    {
        "model": {"name": "deep", "inputs": {"deep": "features"}},
        "trainer.max_epochs": 1,
        "split.validation_fraction": 0.25,
    },
)


@dataclass(frozen=True, kw_only=True)
class Images:
    """A cohort with crops, and the patients that may be learned from; the last six are others."""

    cohort: Cohort
    crops: Crops
    patients: frozenset[str]

    def relabel(self, patient_id: str) -> "Images":
        """The same with the other label for a patient."""
        names = self.cohort.label_names
        cases = tuple(
            replace(case, label=names[1 - names.index(str(case.label))]) if case.patient_id == patient_id else case
            for case in self.cohort.cases
        )
        return replace(self, cohort=replace(self.cohort, cases=cases))

    def repaint(self, patient_id: str) -> "Images":
        """The same with other pixels for a patient, and so another key of the crops."""
        array: NDArray[np.uint8] = np.array(self.crops.array)
        for case in self.cohort.patients[patient_id]:
            array[self.crops.index(case.case_id), 0] = 255 - array[self.crops.index(case.case_id), 0]
        return replace(self, crops=replace(self.crops, array=array, key=f"{self.crops.key}, but {patient_id}"))

    def without_crop(self, *case_ids: str) -> "Images":
        """The same without the crops of some cases."""
        rows = [row for row, case_id in enumerate(self.crops.case_ids) if case_id not in case_ids]
        crops = Crops(
            case_ids=tuple(self.crops.case_ids[row] for row in rows),
            array=self.crops.array[rows],
            key=f"{self.crops.key}, without {case_ids}",
        )
        return replace(self, crops=crops)


@pytest.fixture
def deep_config() -> Callable[..., dict[str, Any]]:
    """The configuration, with groups changed: ``deep_config(trainer={"max_epochs": 2}, seed=4)``."""

    def changed(**changes: Any) -> dict[str, Any]:
        groups = {
            name: {**DEEP_CONFIG[name], **value} if isinstance(value, dict) else value
            for name, value in changes.items()
        }
        return {**DEEP_CONFIG, **groups}

    return changed


@pytest.fixture
def images(tmp_path: Path) -> Images:
    """24 patients, every fifth with two images; the outcome shows in the brightness."""
    draw = np.random.default_rng(0)
    cases, rows = [], []
    for number in range(N_PATIENTS):
        for view in range(2 if number % 5 == 0 else 1):
            cases.append(
                Case(
                    case_id=f"case {number}/{view}",
                    patient_id=f"patient {number}",
                    center="AB"[number % 3 == 0],
                    image=Path(f"{number}.png"),
                    mask=Path(f"{number}_mask.png"),
                    label=("benign", "malignant")[number % 2],
                    clinical={},
                )
            )
            image = np.clip(120 + 40 * (2 * (number % 2) - 1) + 30 * draw.normal(size=(N_PX, N_PX)), 0, 255)
            mask = np.zeros((N_PX, N_PX))
            mask[8:20, 6:26] = 255
            rows.append(np.stack([image, mask]).astype(np.uint8))
    np.save(tmp_path / "crops.npy", np.stack(rows))
    # Read-only and memory-mapped, as those of a run are.
    array = np.load(tmp_path / "crops.npy", mmap_mode="r")
    return Images(
        cohort=Cohort(name="images", cases=tuple(cases), label_names=("benign", "malignant"), clinical_columns=()),
        crops=Crops(case_ids=tuple(case.case_id for case in cases), array=array, key="crops"),
        patients=frozenset(f"patient {number}" for number in range(N_PATIENTS - 6)),
    )


COMPOSITE = {
    "name": "composite",
    "inputs": {"clinical": "features", "radiomics": "score", "deep": "score"},
    "select": True,
    "combine": "classifier",
}


@pytest.fixture
def fitting(config: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Fitting]:
    """What a fit of some data shares; ``model`` changes the composite model, dotted keys (``__``) the configuration."""

    def make(data: Any, model: dict[str, Any] | None = None, **changes: Any) -> Fitting:
        dotted = {key.replace("__", "."): value for key, value in changes.items()}
        settings = config({"trainer.max_epochs": 1, "split.n_inner_folds": 3, **dotted})
        settings |= {"model": COMPOSITE | (model or {}), "cache_dir": str(tmp_path / "kept")}
        return Fitting(
            cohort=data.cohort,
            sources=Sources(crops=data.crops, features=data.features, accelerator="cpu"),
            stable=lambda _: None,
            config=settings,
            number=data.fold.number,
            is_own=True,
            title="",
        )

    return make
