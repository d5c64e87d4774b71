"""A small random network with its preprocessing, and the cases that it scores; nothing is trained."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from number_cohort import make_data

from fusion.calibration.identity import Identity
from fusion.imaging.store import Crops
from fusion.records import Case, ClinicalColumn, FeatureTable
from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.radiomics import RadiomicsScaler
from fusion.training.background import Background
from fusion.training.fitted import FittedModel, network_for
from fusion.training.inputs import assemble_inputs

__all__ = ["make_data"]

COLUMNS = (ClinicalColumn(name="age", kind="number", unit="years"), ClinicalColumn(name="shape", kind="category"))


@dataclass(frozen=True, kw_only=True)
class Example:
    """A model and what it scores."""

    model: FittedModel
    cases: tuple[Case, ...]
    crops: Crops
    features: FeatureTable

    def inputs(self) -> Any:
        """Of all cases."""
        return self.model.assemble(self.cases, crops=self.crops, features=self.features)


@pytest.fixture
def make_example(tmp_path: Path) -> Callable[..., Example]:
    """Six cases; the first lacks nothing, the second its image and radiomics, the third its clinical row."""

    def make(
        *,
        branches: tuple[str, ...] = ("image", "radiomics", "clinical"),
        label_names: tuple[str, ...] = ("benign", "malignant"),
        ids: Callable[[int], str] = "case {}".format,
        columns: tuple[ClinicalColumn, ...] = COLUMNS,
    ) -> Example:
        draw = np.random.default_rng(0)
        cases = tuple(
            Case(
                case_id=ids(i),
                patient_id=f"patient {i}",
                center="A",
                image=None,
                mask=None,
                label=label_names[i % 2],
                clinical={"age": 40.0 + 7 * i, "shape": ("oval", "round")[i % 2]} if i != 2 else {},
            )
            for i in range(6)
        )
        known = tuple(case.case_id for case in cases if case.case_id != ids(1))
        pixels = draw.integers(0, 256, (len(known), 2, 32, 32), dtype=np.uint8)
        pixels[:, 1] = 0
        pixels[:, 1, 8:20, 6:26] = 255
        np.save(tmp_path / "crops.npy", pixels)
        crops = Crops(case_ids=known, array=np.load(tmp_path / "crops.npy", mmap_mode="r"), key="crops")
        names = tuple(f"feature {i}" for i in range(4)) if "radiomics" in branches else ()
        features = FeatureTable(
            case_ids=known if names else (),
            names=names,
            values=draw.normal(size=(len(known), 4)) if names else np.zeros((0, 0)),
        )
        encoder = ClinicalEncoder.fit(columns, cases, clip=5.0)
        scaler = RadiomicsScaler.fit(
            features,
            cases,
            stable=None,
            columns=(),
            harmonization={"name": "none"},
            max_correlation=0.99,
            clip=5.0,
        )
        settings = {
            "model": {
                "name": "fusion",
                "branches": branches,
                "d_embedding": 8,
                "d_category": 2,
                "dropout": 0.0,
                "branch_dropout": 0.0,
            },
            "backbone": {"library": "timm", "name": "test_resnet", "weights": "none", "options": {}},
            "head": {"name": "gated", "d_hidden": 8, "dropout": 0.0},
            "imaging": {"n_px": 32, "channels": "image_mask"},
        }
        train = assemble_inputs(
            cases, crops=crops, features=features, encoder=encoder, scaler=scaler, label_names=label_names
        )
        torch.manual_seed(0)
        network = network_for(settings, encoder, scaler, len(label_names), pretrained=False).eval()
        model = FittedModel(
            network=network,
            settings=settings,
            encoder=encoder,
            scaler=scaler,
            background=Background.of(train, network.names),
            label_names=label_names,
            prior_shift=tuple(np.log(np.arange(1, len(label_names) + 1) / 2).tolist()),
            calibrator=Identity(),
            thresholds={},
            threshold=0.5,
            fold=0,
        )
        return Example(model=model, cases=cases, crops=crops, features=features)

    return make


@pytest.fixture
def many(make_example: Callable[..., Example], tmp_path: Path) -> Example:
    """The example's model with 40 cases of its kind: two images of each of 20 patients."""
    example, draw = make_example(), np.random.default_rng(1)
    cases = tuple(
        Case(
            case_id=f"case {i}",
            patient_id=f"patient {i // 2}",
            center=("A", "B")[i >= 30],
            image=None,
            mask=None,
            label="benign",
            clinical={"age": 50.0, "shape": "oval"},
        )
        for i in range(40)
    )
    pixels = draw.integers(0, 256, (40, 2, 32, 32), dtype=np.uint8)
    np.save(tmp_path / "many.npy", pixels)
    ids = tuple(case.case_id for case in cases)
    return replace(
        example,
        cases=cases,
        crops=Crops(case_ids=ids, array=np.load(tmp_path / "many.npy", mmap_mode="r"), key="many"),
        features=FeatureTable(case_ids=ids, names=example.features.names, values=draw.normal(size=(40, 4))),
    )
