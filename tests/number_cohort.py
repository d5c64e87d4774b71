"""A small cohort made of numbers: every branch carries some of the outcome, and some cases lack a branch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.imaging.store import Crops
from fusion.records import Case, ClinicalColumn, Cohort, FeatureTable, Fold
from fusion.training.fit import fit_fold
from fusion.training.fitted import FittedModel
from fusion.training.tuning import FoldFit

N_PX, N_FEATURES = 32, 6
COLUMNS = (
    ClinicalColumn(name="age", kind="number", unit="years"),
    ClinicalColumn(name="shape", kind="category"),
    ClinicalColumn(name="grade", kind="ordered", levels=("low", "middle", "high")),
)
CONFIG: dict[str, Any] = {
    "name": "numbers",
    "seed": 3,
    "l1": 0.0,
    "tabular": {"max_correlation": 0.95, "clip": 5.0},
    "harmonization": {"name": "none"},
    "imaging": {"n_px": N_PX, "margin": 0.2, "channels": "image_mask"},
    "radiomics": {"mode": "2d"},
    "model": {
        "name": "fusion",
        "branches": ["image", "radiomics", "clinical"],
        "d_embedding": 8,
        "d_category": 2,
        "dropout": 0.1,
        "branch_dropout": 0.1,
        "branch_loss": 0.5,
        "label_smoothing": 0.0,
    },
    "backbone": {"library": "timm", "name": "test_resnet", "weights": "none", "options": {}},
    "head": {"name": "gated", "d_hidden": 8, "dropout": 0.1},
    "optimizer": {"lr": 3e-3, "lr_backbone": 1e-3, "lr_gates": 1e-2, "weight_decay": 0.01, "warmup_fraction": 0.1},
    "trainer": {
        "accelerator": "cpu",
        "strategy": "none",
        "launch": "own",
        "devices": 1,
        "nodes": 1,
        "precision": "32-true",
        "max_epochs": 2,
        "patience": 10,
        "batch_size": 8,
        "lr_scaling": "none",
        "reference_batch_size": 32,
        "freeze_epochs": 0,
        "gradient_clip": 1.0,
        "augmentation": {
            "rotate_deg": 5,
            "scale": 0.05,
            "shift": 0.02,
            "flip": 0.5,
            "gain": 0.05,
            "contrast": 0.1,
            "gamma": 0.1,
            "speckle": 0.02,
        },
    },
    "deep": {
        "name": "pca",
        "n_components": 4,
        "network": {
            "d_embedding": 8,
            "d_category": 2,
            "dropout": 0.1,
            "branch_dropout": 0.0,
            "branch_loss": 0.0,
            "label_smoothing": 0.0,
        },
    },
    "selection": {
        "name": "lasso",
        "filters": [{"name": "variance", "min_variance": 0.0}],
        "l1_ratio": 1.0,
        "lambda": "min",
        "n_lambdas": 20,
        "min_lambda_ratio": 0.01,
        "n_folds": 3,
        "n_bootstrap": 5,
    },
    "classifier": {
        "name": "lr",
        "estimator": {"_target_": "sklearn.linear_model.LogisticRegression", "C": 1.0},
        "grid": {},
        "imbalance": "none",
    },
    "stability": {"name": "none"},
    "logger": {"csv": {}},
    "split": {"name": "holdout", "validation_fraction": 0.2, "n_inner_folds": 1},
}


def change(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The content with dotted keys changed, e.g. ``{"trainer.max_epochs": 1}``."""
    changed = dict(content)
    for key, value in changes.items():
        first, _, rest = key.partition(".")
        changed[first] = change(changed[first], {rest: value}) if rest else value
    return changed


@dataclass(frozen=True, kw_only=True)
class Data:
    """All that a fit takes of a cohort."""

    cohort: Cohort
    crops: Crops
    features: FeatureTable
    fold: Fold

    def fit(
        self, *, loggers: Any = (), callbacks: Any = (), progress: Path | None = None, **changes: Any
    ) -> FittedModel:
        """Fit with dotted keys of the configuration changed; ``__`` stands for the dot."""
        config = change(CONFIG, {key.replace("__", "."): value for key, value in changes.items()})
        return fit_fold(
            self.cohort,
            fold=self.fold,
            crops=self.crops,
            features=self.features,
            stable=None,
            config=config,
            loggers=loggers,
            callbacks=callbacks,
            progress=progress,
            title="fold 0",
        )

    def fit_and_score(self, fold: Fold, config: Mapping[str, Any], title: str = "") -> FoldFit:
        """Fit on any fold by any configuration, and score its patients."""
        model = fit_fold(
            self.cohort,
            fold=fold,
            crops=self.crops,
            features=self.features,
            stable=None,
            config=config,
            loggers=(),
            callbacks=(),
            progress=None,
            title=title,
        )
        cases = tuple(case for case in self.cohort.cases if fold.part_of(case.patient_id))
        scores = model.score(model.assemble(cases, crops=self.crops, features=self.features), device="cpu")
        return FoldFit(model=model, cases=cases, scores=scores, predictions=model.predictions(cases, scores, fold=fold))

    def cases(self, part: str) -> list[Case]:
        """Cases of a part of the fold."""
        return [case for case in self.cohort.cases if self.fold.part_of(case.patient_id) == part]

    def probabilities(self, model: FittedModel, part: str = "test") -> Any:
        """(N, K) of the cases of a part."""
        inputs = model.assemble(self.cases(part), crops=self.crops, features=self.features)
        return model.score(inputs, device="cpu").probabilities


@pytest.fixture
def config() -> Callable[..., dict[str, Any]]:
    return lambda changes=(): change(CONFIG, dict(changes))


def numbers(
    place: Path,
    *,
    n_patients: int = 30,
    label_names: tuple[str, ...] = ("benign", "malignant"),
    signal: float = 1.0,
    seed: int = 0,
) -> Data:
    """A cohort of ``n_patients``; every fifth has two images, and cases 2, 3 and 4 lack a branch each.

    With ``signal`` 0 nothing tells the outcome. Its crops are kept in a folder.
    """
    draw = np.random.default_rng(seed)
    cases, rows, features = [], [], []
    for number in range(n_patients):
        label = number % len(label_names)
        push = signal * (2 * label / (len(label_names) - 1) - 1)
        clinical = {
            "age": float(55 + 8 * push + 8 * draw.normal()),
            "shape": ("irregular", "oval", "round")[int(draw.integers(3))],
            "grade": ("low", "middle", "high")[int(draw.integers(3))],
        }
        for view in range(2 if number % 5 == 0 else 1):
            case_id = f"case {number}/{view}"
            cases.append(
                Case(
                    case_id=case_id,
                    patient_id=f"patient {number}",
                    center="AB"[number % 3 == 0],
                    image=place / f"{number}.png" if number != 2 else None,
                    mask=place / f"{number}_mask.png" if number != 2 else None,
                    label=label_names[label],
                    clinical=clinical if number != 4 else {},
                )
            )
            image = np.clip(120 + 40 * push + 30 * draw.normal(size=(N_PX, N_PX)), 0, 255)
            mask = np.zeros((N_PX, N_PX))
            mask[8:20, 6:26] = 255
            rows.append((case_id, np.stack([image, mask]).astype(np.uint8)) if number != 2 else None)
            values = draw.normal(size=N_FEATURES)
            values[0] += 1.5 * push
            features.append((case_id, values) if number not in (2, 3) else None)
    known_rows = [row for row in rows if row is not None]
    path = place / f"crops-{len(list(place.glob('crops-*')))}.npy"
    np.save(path, np.stack([row for _, row in known_rows]))
    crops = Crops(
        case_ids=tuple(case_id for case_id, _ in known_rows), array=np.load(path, mmap_mode="r"), key=path.stem
    )
    known = [row for row in features if row is not None]
    table = FeatureTable(
        case_ids=tuple(case_id for case_id, _ in known),
        names=tuple(f"feature {i}" for i in range(N_FEATURES)),
        values=np.stack([values for _, values in known]),
    )
    cohort = Cohort(name="numbers", cases=tuple(cases), label_names=label_names, clinical_columns=COLUMNS)
    patients = [f"patient {number}" for number in range(n_patients)]
    n_train, n_validation = round(0.5 * n_patients), round(0.2 * n_patients)
    fold = Fold(
        number=0,
        seed=0,
        train=frozenset(patients[:n_train]),
        validation=frozenset(patients[n_train : n_train + n_validation]),
        test=frozenset(patients[n_train + n_validation :]),
    )
    return Data(cohort=cohort, crops=crops, features=table, fold=fold)


@pytest.fixture
def make_data(tmp_path: Path) -> Callable[..., Data]:
    """A cohort of the test's own."""
    return partial(numbers, tmp_path)


def complete(data: Data) -> Data:
    """The data without patients who lack a branch, for models of one."""
    known = set(data.crops.case_ids) & set(data.features.case_ids)
    cases = tuple(case for case in data.cohort.cases if case.case_id in known and case.clinical)
    left = {case.patient_id for case in cases}
    fold = replace(data.fold, **{part: getattr(data.fold, part) & left for part in ("train", "validation", "test")})
    return replace(data, cohort=replace(data.cohort, cases=cases), fold=fold)


@pytest.fixture
def data(make_data: Callable[..., Data]) -> Data:
    return make_data()


def without(data: Data, *, patient: str, branches: tuple[str, ...]) -> Data:
    """The data without some branches of a patient."""
    gone = {case.case_id for case in data.cohort.patients[patient]}
    cases = data.cohort.cases
    if "clinical" in branches:
        cases = tuple(replace(case, clinical={}) if case.case_id in gone else case for case in cases)
    crops, features = data.crops, data.features
    if "image" in branches:
        kept = [i for i, case_id in enumerate(crops.case_ids) if case_id not in gone]
        crops = Crops(case_ids=tuple(crops.case_ids[i] for i in kept), array=crops.array[kept], key="fewer")
    if "radiomics" in branches:
        kept = [i for i, case_id in enumerate(features.case_ids) if case_id not in gone]
        features = FeatureTable(
            case_ids=tuple(features.case_ids[i] for i in kept), names=features.names, values=features.values[kept]
        )
    return replace(data, cohort=replace(data.cohort, cases=cases), crops=crops, features=features)


@pytest.fixture
def drop() -> Callable[..., Data]:
    return without
