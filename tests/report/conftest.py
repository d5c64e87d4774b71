"""A run folder as a run writes it, with simulated predictions."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from fusion.evaluation.discrimination import delong
from fusion.evaluation.evaluate import evaluate
from fusion.evaluation.pooling import pool_cases
from fusion.records import Predictions
from fusion.report.html import write_report

LABELS = ("benign", "malignant")
CENTERS = ("Fudan", "Ninth People's", "West China", "Zhongnan")
THRESHOLDS = {0: 0.46, 1: 0.52, 2: 0.41, 3: 0.55, 4: 0.49}
FEATURES = [
    f"{image}_{name}"
    for image in ("original", "wavelet-LH", "wavelet-HL", "log-sigma-3-0-mm-2D")
    for name in ("glcm_ClusterProminence", "glszm_SmallAreaLowGrayLevelEmphasis", "firstorder_Kurtosis",
                 "ngtdm_Busyness", "gldm_DependenceNonUniformityNormalized", "glrlm_RunEntropy")
]  # fmt: skip


class Simulation:
    """Patients with one or two images each, scored by five folds."""

    def __init__(self, n_patients: int, label_names: tuple[str, ...] = LABELS, centers: tuple[str, ...] = CENTERS):
        rng = np.random.default_rng(7)
        self.label_names = label_names
        truth = rng.choice(
            len(label_names), n_patients, p=np.arange(len(label_names), 0, -1) / sum(range(1, len(label_names) + 1))
        )
        centers_of = rng.choice(len(centers), n_patients)
        rows: dict[str, list[Any]] = {
            name: [] for name in ("patient_ids", "centers", "parts", "folds", "labels", "case_ids")
        }
        probabilities = []
        for fold in THRESHOLDS:
            for patient in range(n_patients):
                part = "test" if patient % 5 == fold else "validation" if patient % 5 == (fold + 1) % 5 else "train"
                strength = {"train": 3.2, "validation": 2.2, "test": 2.0}[part] - 0.35 * centers_of[patient]
                for view in range(1 + (patient % 3 == 0)):
                    logits = rng.normal(size=len(label_names)) + strength * np.eye(len(label_names))[truth[patient]]
                    probabilities.append(np.exp(logits) / np.exp(logits).sum())
                    patient_id = f"{patient:03d}"
                    values = (
                        patient_id,
                        centers[centers_of[patient]],
                        part,
                        fold,
                        label_names[truth[patient]],
                        f"{patient_id}_{view}",
                    )
                    for column, value in zip(rows.values(), values, strict=True):
                        column.append(value)
        self.cases = Predictions(
            model="fused",
            label_names=label_names,
            probabilities=np.array(probabilities).round(6) / np.array(probabilities).round(6).sum(1, keepdims=True),
            **{name: tuple(column) for name, column in rows.items()},
        )
        self.patients = pool_cases(self.cases)
        self.rng = rng

    def metrics(self) -> dict[str, Any]:
        thresholds = THRESHOLDS if len(self.label_names) == 2 else {}
        metrics = evaluate(self.patients, self.cases, thresholds=thresholds, level=0.95, n_bootstrap=200, seed=0)
        if len(self.label_names) == 2:
            metrics["branches"] = {
                branch: {"auc": self._branch(noise)}
                for branch, noise in (("image", 0.25), ("radiomics", 0.5), ("clinical", 0.4))
            }
        return metrics

    def _branch(self, noise: float) -> dict[str, Any]:
        test = np.array(self.patients.parts) == "test"
        labels = (np.array(self.patients.labels)[test] == self.label_names[1]).astype(int)
        scores = self.patients.probabilities[test, 1] + self.rng.normal(scale=noise, size=len(labels))
        return delong(labels, scores, level=0.95).as_json()


def write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


def write_predictions(path: Path, predictions: Predictions) -> None:
    ids = [] if predictions.case_ids is None else [predictions.case_ids]
    columns = [*ids, predictions.patient_ids, predictions.centers, predictions.folds, predictions.parts]
    header = [*(["case_id"] if ids else []), "patient_id", "center", "fold", "part", "label"]
    rows = [[*row] for row in zip(*columns, predictions.labels, *predictions.probabilities.T, strict=True)]
    write_csv(path, [*header, *(f"prob_{name}" for name in predictions.label_names)], rows)


def write_run(run_dir: Path, simulation: Simulation, *, optional: bool = True, cohort: str = "salivary") -> Path:
    run_dir.mkdir(parents=True, exist_ok=True)
    config = {
        "seed": 0,
        "name": "salivary-fusion",
        "l1": 0.001,
        "fold": "all",
        "cohort": {"name": cohort, "root": "data/salivary"},
        "imaging": {"n_px": 96, "margin": 0.15, "channels": "image_roi_mask"},
        "radiomics": {"mode": "2d"},
        "split": {"name": "kfold", "n_folds": 5},
        "evaluation": {"level": 0.95, "n_bootstrap": 200},
        "backbone": {"name": "resnet18", "weights": "hub"},
        "head": {"name": "gated"},
    }
    manifest = {
        "versions": {"fusion": "0.1.0", "python": "3.11.9", "torch": "2.15.0"},
        "git": {"revision": "0f3a" * 10, "dirty": True},
        "seed": 0,
        "split_sha256": "ab12" * 16,
        "device": "cpu",
        "weights": "resnet18.a1_in1k (hub)",
        "thresholds": {str(fold): value for fold, value in THRESHOLDS.items()},
        "stages": {
            "extract": {"seconds": 33.1, "peak_memory_mb": 812},
            "fit": {"seconds": 912.4, "peak_memory_mb": 1430},
        },
        "sha256": {"table": "11" * 32, "images": "22" * 32, "masks": "33" * 32},
    }
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    (run_dir / "manifest.json").write_text(json.dumps(manifest))
    (run_dir / "metrics.json").write_text(json.dumps(simulation.metrics()))
    write_predictions(run_dir / "predictions.csv", simulation.patients)
    if optional:
        write_predictions(run_dir / "predictions_cases.csv", simulation.cases)
        _write_optional(run_dir, simulation)
    return run_dir


def _write_optional(run_dir: Path, simulation: Simulation) -> None:
    rng, cases = simulation.rng, simulation.cases
    survivors = [
        [k, name, rng.normal() / (1 + i)] for i, name in enumerate(FEATURES) for k in range(5) if rng.random() < 0.7
    ]
    write_csv(run_dir / "features.csv", ["fold", "feature", "weight"], survivors)
    assert cases.case_ids is not None
    test = [row for row, part in enumerate(cases.parts) if part == "test"]
    gates = rng.dirichlet([5, 2, 3], len(test))
    write_csv(
        run_dir / "attributions" / "branches.csv",
        ["patient_id", "case_id", "center", "fold", "gate_image", "gate_radiomics", "gate_clinical"],
        [
            [cases.patient_ids[row], cases.case_ids[row], cases.centers[row], cases.folds[row], *gate]
            for row, gate in zip(test, gates, strict=True)
        ],
    )
    names = ["Age", "Edge", "Calcification", "Pain", "Vascularity"]
    write_csv(
        run_dir / "attributions" / "clinical.csv",
        ["case_id", "fold", "name", "value"],
        [
            [cases.case_ids[row], cases.folds[row], name, rng.normal() / (1 + i)]
            for row in test
            for i, name in enumerate(names)
        ],
    )
    images = run_dir / "attributions" / "images"
    images.mkdir(parents=True)
    for row in test[:30]:
        pixels = rng.gamma(2, 30, (48, 48, 3)).clip(0, 255).astype(np.uint8)
        pixels[12:36, 12:36, 0] = 220
        Image.fromarray(pixels).save(images / f"{cases.case_ids[row]}.png")


@pytest.fixture(scope="session")
def fake() -> SimpleNamespace:
    """What tests need to make runs of their own; they cannot import from this file."""
    return SimpleNamespace(
        Simulation=Simulation, write_run=write_run, write_predictions=write_predictions, thresholds=THRESHOLDS
    )


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return Simulation(140)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, simulation: Simulation) -> Path:
    """A finished run with its report, to be read only: drawing takes a second."""
    run_dir = write_run(tmp_path_factory.mktemp("finished") / "run", simulation)
    write_report(run_dir)
    return run_dir


@pytest.fixture
def run_dir(tmp_path: Path, finished: Path) -> Path:
    """A copy of the run, without report, to be changed."""
    leave_out = shutil.ignore_patterns("figures", "report.html")
    return Path(shutil.copytree(finished, tmp_path / "run", ignore=leave_out))
