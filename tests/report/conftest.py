"""A run folder as a run writes it, with simulated predictions."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

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
        """Every section of metrics.json, from plain numpy: the report must not care who computed them."""
        parts = {part: self._part(self.patients, part) for part in ("test", "validation", "train")}
        metrics = {
            "split_sha256": "ab12" * 16,
            "folds": {"finished": [0, 1, 2, 3, 4], "planned": 5},
            **parts,
            "test_cases": self._part(self.cases, "test"),
            "centers": {
                center: figures(self.patients.select(self._of_center(center)))
                for center in sorted(set(self.patients.centers))
            },
            "sample_size": {
                "n_train": 84, "n_events": 28, "n_parameters": 120, "events_per_parameter": 28 / 120,
                "required_n": 1712, "required_by": {"shrinkage": 1712, "overall_risk": 355},
                "warning": "84 training patients, 1712 are advised.",
            },
        }  # fmt: skip
        return metrics | (self._of_two_labels(metrics) if len(self.label_names) == 2 else {})

    def _part(self, predictions: Predictions, part: str) -> dict[str, Any]:
        return figures(predictions.select(other == part for other in predictions.parts))

    def _of_center(self, center: str) -> list[bool]:
        rows = zip(self.patients.centers, self.patients.parts, strict=True)
        return [other == center and part == "test" for other, part in rows]

    def _of_two_labels(self, metrics: dict[str, Any]) -> dict[str, Any]:
        test = metrics["test"]
        share, n = 0.33, test["auc"]["n"]
        test["auc_fold_mean"] = estimate(test["auc"]["value"] - 0.004, n)
        shown = {name: test[name] for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy")}
        points = {"youden": {"rule": "youden"}, "sensitivity_90": {"rule": "sensitivity", "at_least": 0.9}}
        thresholds = [k / 100 for k in range(5, 61)]
        reader = {"auc": estimate(0.81, n), **shown}
        return {
            "branches": {name: {"auc": estimate(auc, n)} for name, auc in BRANCHES.items()},
            "operating_points": {
                name: {
                    "rule": rule,
                    "thresholds": {str(fold): t - 0.1 * k for fold, t in THRESHOLDS.items()},
                    "figures": shown | {"lr_positive": estimate(None if k else 4.321, n)},
                }
                for k, (name, rule) in enumerate(points.items())
            },
            "curves": {
                "reliability": [
                    {"predicted": p, "observed": p**1.2, "ci_low": p**1.2 * 0.7, "ci_high": p**0.8, "n": 23 + k % 2}
                    for k, p in enumerate((0.05, 0.2, 0.45, 0.7, 0.9))
                ],
                "smooth_calibration": {"predicted": [0.05, 0.5, 0.95], "observed": [0.03, 0.48, 0.9]},
                "decision": [
                    {"threshold": t, "model": estimate(share - t / 3, n),
                     "treat_all": estimate(share - (1 - share) * t / (1 - t), n)}
                    for t in thresholds
                ],
                "impact": [
                    {"threshold": t, "high_risk": estimate(600 - 500 * t, n, 40), "true_positive": estimate(300, n, 30)}
                    for t in thresholds
                ],
            },
            "between_centers": {
                "auc": {"value": 0.87, "ci_low": 0.74, "ci_high": 0.94, "n": n, "n_centers": 4, "tau2": 0.123,
                        "i2": 0.34, "prediction_low": 0.66, "prediction_high": 0.96},
                "left_out": [],
                "probe": {"auc": estimate(0.91, n), "n_centers": 4, "text": "The features give the center away."},
            },
            "subgroups": {
                "age": [
                    {"level": level, "n": 70, "n_positive": 23, "figures": {"auc": test["auc"], **shown}, "note": None}
                    for level in ("< 50 years", ">= 50 years")
                ],
                "sex": [
                    {"level": "male", "n": 3, "n_positive": 1, "figures": None,
                     "note": "too few: 3 patients, 1 malignant (required 20 and 5 of each label)"},
                ],
            },
            "readers": {
                "name": "BI-RADS", "n": n, "is_input": False, "reader": reader, "model": {"auc": test["auc"], **shown},
                "model_and_reader": reader, "text": "The reader's BI-RADS is no input of the model.",
                "differences": [
                    {"first": "model", "second": "reader", "difference": estimate(0.031, n), "p": 0.0004},
                    {"first": "model_and_reader", "second": "model", "difference": estimate(-0.012, n), "p": None},
                ],
                "cuts": [{"cut": ">= 4", "figures": shown}],
            },
        }  # fmt: skip


BRANCHES = {"image": 0.85, "radiomics": 0.7, "clinical": 0.75}


def estimate(value: float | None, n: int, half: float = 0.05) -> dict[str, Any]:
    """As in metrics.json; any interval will do, the report computes none."""
    low, high = (None, None) if value is None else (value - half, value + half)
    return {"value": value, "ci_low": low, "ci_high": high, "n": n}


def figures(rows: Predictions) -> dict[str, Any]:
    """The figures of some rows, by plain numpy."""
    names, n = rows.label_names, len(set(rows.patient_ids))
    truth = np.array([names.index(label) for label in rows.labels])
    hot = np.eye(len(names))[truth]
    brier = float(((rows.probabilities - hot) ** 2).sum(1).mean() / (2 if len(names) == 2 else 1))
    alone = {f"auc_{name}": _auc(truth == k, rows.probabilities[:, k]) for k, name in enumerate(names)}
    if len(names) > 2:
        accuracy = float((rows.probabilities.argmax(1) == truth).mean())
        found = {"auc": float(np.mean(list(alone.values()))), **alone, "accuracy": accuracy, "brier": brier}
        return {name: estimate(value, n) for name, value in found.items()}
    called = rows.probabilities[:, 1] >= np.array([THRESHOLDS[fold] for fold in rows.folds])
    right, positive = called == (truth == 1), truth == 1
    return {
        "auc": estimate(alone[f"auc_{names[1]}"], n),
        "sensitivity": estimate(_mean(right[positive]), int(positive.sum())),
        "specificity": estimate(_mean(right[~positive]), int((~positive).sum())),
        "ppv": estimate(_mean(right[called]), int(called.sum())),
        "npv": estimate(_mean(right[~called]), int((~called).sum())),
        "accuracy": estimate(_mean(right), n),
        "brier": estimate(brier, n),
        "ici": estimate(0.047, n),
        "hosmer_lemeshow": {"value": 0.034, "ci_low": None, "ci_high": None, "n": n},
        "calibration_intercept": estimate(-0.12, n, 0.3),
        "calibration_slope": estimate(0.95, n, 0.2),
    }


def _auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    difference = scores[positive][:, None] - scores[~positive][None]
    return _mean((difference > 0) + 0.5 * (difference == 0))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


def write_facts(run_dir: Path, **changes: list[Any]) -> None:
    """Change facts of the folds of a classical run: of each a value per fold, None where it recorded none."""
    for fold in THRESHOLDS:
        path = run_dir / f"fold_{fold}" / "fold.json"
        facts = json.loads(path.read_text()) | {name: values[fold] for name, values in changes.items()}
        path.write_text(json.dumps({name: value for name, value in facts.items() if value is not None}))


def write_late(run_dir: Path) -> None:
    """Make a classical run one of late fusion: scores alone, and no classifier in the configuration."""
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    inputs = dict.fromkeys(("clinical", "radiomics", "deep"), "score")
    config["model"] = {"name": "late", "inputs": inputs, "select": False, "combine": "mean"}
    del config["classifier"]
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    write_facts(run_dir, classifier=[{}] * 5)


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
        "split": {"name": "kfold", "n_folds": 5, "validation_fraction": 0.2, "n_inner_folds": 1},
        "evaluation": {"level": 0.95, "n_bootstrap": 200, "threshold": "youden"},
        "calibration": {"name": "platt"},
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


CLASSICAL_CONFIG = {
    "model": {
        "name": "composite",
        "inputs": {"clinical": "features", "radiomics": "score", "deep": "score"},
        "select": True,
        "combine": "classifier",
    },
    "deep": {"name": "pca", "n_components": 32},
    "selection": {
        "name": "lasso",
        "filters": [
            {"name": "mann_whitney", "max_p": 0.05, "correction": "none"},
            {"name": "spearman", "max_correlation": 0.9, "order": "p_value"},
        ],
        "l1_ratio": 1.0,
        "lambda": "min",
        "n_lambdas": 100,
        "min_lambda_ratio": 0.01,
        "n_folds": 10,
        "n_bootstrap": 100,
    },
    "classifier": {"name": "lr", "estimator": {"_target_": "x.LogisticRegression"}, "grid": {"C": [0.1, 1]},
                   "imbalance": "weights"},
    "published": {"value": 0.962, "source": "Su et al., Int Dent J 2025;75(6):103895"},
}  # fmt: skip
# Name, contributions to the logit of a nomogram's ticks.
NOMOGRAM = {
    "age (years)": {f"{age}": 0.031 * (age - 52) for age in range(10, 100, 10)},
    "edge": {"clear": -0.31, "blurred": 0.52, "missing": 0.05},
    "calcification": {"no": -0.12, "yes": 0.41},
    "us_node_status": {"no": -0.48, "yes": 0.91, "missing": 0.0},
    "radiomics score": {f"{score / 2:g}": 0.62 * score / 2 for score in range(-6, 6)},
    "deep score": {f"{score / 2:g}": 0.8 * score / 2 for score in range(-5, 5)},
}


def write_classical(run_dir: Path, simulation: Simulation) -> Path:
    """The folder of a composite classical model: two scores beside clinical columns, in every fold."""
    write_run(run_dir, simulation, optional=False)
    config = yaml.safe_load((run_dir / "config.yaml").read_text()) | CLASSICAL_CONFIG | {"name": "su2025"}
    config["split"]["n_inner_folds"] = 5
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    metrics = json.loads((run_dir / "metrics.json").read_text())
    del metrics["branches"]["image"], metrics["branches"]["clinical"]
    metrics["branches"]["deep"] = {"auc": estimate(0.81, 140)}
    (run_dir / "metrics.json").write_text(json.dumps(metrics))
    write_predictions(run_dir / "predictions_cases.csv", simulation.cases)
    rng = np.random.default_rng(3)
    clinical = ("age", "edge", "calcification", "us_node_status", "us_node_status=missing", "gland=parotid", "pain")
    final = [*clinical, "radiomics score", "deep score"]
    deep = [f"component {k}" for k in range(1, 33)]
    tables: dict[str, list[list[Any]]] = {"selection": [], "lasso_cv": [], "lasso_path": []}
    for fold in THRESHOLDS:
        candidates = {"radiomics": 753, "deep": 32, "clinical": 24 + fold % 2}
        (run_dir / f"fold_{fold}").mkdir()
        facts = {
            "candidates": candidates,
            "inputs": final,
            "classifier": {"C": 0.1 if fold < 3 else 1},
            "weights": None,
        }
        (run_dir / f"fold_{fold}" / "fold.json").write_text(json.dumps(facts))
        for stage, names in (("final", final), ("radiomics", FEATURES), ("deep", deep)):
            _write_stage(tables, fold, stage, names, rng)
    headers = {
        "selection": ["fold", "stage", "feature", "coefficient", "frequency"],
        "lasso_cv": ["fold", "stage", "lambda", "deviance", "error", "n_nonzero", "chosen", "used"],
        "lasso_path": ["fold", "stage", "lambda", "feature", "coefficient"],
    }
    for name, rows in tables.items():
        write_csv(run_dir / f"{name}.csv", headers[name], rows)
    _write_nomogram(run_dir)
    _write_shap(run_dir, simulation, final, rng)
    return run_dir


def _write_stage(
    tables: dict[str, list[list[Any]]], fold: int, stage: str, names: list[str], rng: np.random.Generator
) -> None:
    """A path on which features enter one after the other and grow; the curve has its least at the 31st lambda."""
    ranks = np.arange(len(names))
    strengths = 0.9 * 0.85**ranks * np.where(ranks % 3 == 1, -1, 1) + 0.05 * rng.normal(size=len(names))
    enters = np.sort(rng.integers(1, 45, len(names)))
    for step, penalty in enumerate(0.3 * 0.01 ** (np.arange(50) / 49)):
        grown = np.clip((step - enters) / 30, 0, 1) * strengths
        deviance = 0.9 + 0.35 * ((step - 30) / 30) ** 2
        chosen = {30: "min", 21: "1se"}.get(step, "")
        row = [fold, stage, penalty, deviance, 0.04 + 0.0006 * step, int((grown != 0).sum()), chosen, int(step == 30)]
        tables["lasso_cv"].append(row)
        kept = [(name, value) for name, value in zip(names, grown, strict=True) if value]
        tables["lasso_path"] += [[fold, stage, penalty, name, value] for name, value in kept]
        if step == 30:
            tables["selection"] += [
                [fold, stage, name, value, round(min(1.0, 0.35 + abs(value) * 1.6 + rng.uniform(0, 0.1)), 2)]
                for name, value in kept
            ]


def _write_nomogram(run_dir: Path) -> None:
    probabilities = [0.05, *(k / 10 for k in range(1, 10)), 0.95]
    rows = [
        row
        for fold in THRESHOLDS
        for row in [
            *([fold, name, text, value] for name, ticks in NOMOGRAM.items() for text, value in ticks.items()),
            *([fold, "(probability)", f"{p:g}", float(np.log(p / (1 - p)))] for p in probabilities),
            [fold, "(intercept)", "", -0.42 - 0.1 * fold],
        ]
    ]
    write_csv(run_dir / "nomogram.csv", ["fold", "variable", "label", "value"], rows)


def _write_shap(run_dir: Path, simulation: Simulation, names: list[str], rng: np.random.Generator) -> None:
    cases = simulation.cases
    assert cases.case_ids is not None
    rows = [
        [cases.case_ids[row], cases.folds[row], name, rng.normal() * 0.9 / (1 + (i * 5) % 9), float("nan"), "logit"]
        for row, part in enumerate(cases.parts)
        if part == "test"
        for i, name in enumerate(names)
    ]
    header = ["case_id", "fold", "name", "value", "completeness_error", "unit"]
    write_csv(run_dir / "attributions" / "inputs.csv", header, rows)


@pytest.fixture(scope="session")
def fake() -> SimpleNamespace:
    """What tests need to make runs of their own; they cannot import from this file."""
    return SimpleNamespace(
        Simulation=Simulation,
        write_run=write_run,
        write_csv=write_csv,
        write_facts=write_facts,
        write_late=write_late,
        nomogram=NOMOGRAM,
        write_predictions=write_predictions,
        thresholds=THRESHOLDS,
        estimate=estimate,
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


@pytest.fixture(scope="session")
def classical(tmp_path_factory: pytest.TempPathFactory, simulation: Simulation) -> Path:
    """A finished run of a classical model without its report, to be read only."""
    return write_classical(tmp_path_factory.mktemp("classical") / "run", simulation)


@pytest.fixture
def classical_dir(tmp_path: Path, classical: Path) -> Path:
    """A copy of the classical run, to be changed."""
    return Path(shutil.copytree(classical, tmp_path / "run"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's chromium, driven by its own chromedriver."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("chromium and chromedriver are not installed (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    # Root has no sandbox, and containers have a small /dev/shm.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield driver
    driver.quit()


@pytest.fixture
def behaves(chromium: Any) -> Callable[[Path], float]:
    """Opens a page that requests nothing, has no error, fits a narrow screen and prints; gives its seconds to load."""

    def check(page: Path) -> float:
        for name in ("browser", "performance"):
            chromium.get_log(name)
        chromium.get("about:blank")
        chromium.get(page.as_uri())
        events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
        sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        assert page.as_uri() in sent
        assert all(url in (page.as_uri(), "about:blank") or url.startswith("data:") for url in sent)
        assert chromium.get_log("browser") == []
        assert base64.b64decode(chromium.execute_cdp_cmd("Page.printToPDF", {})["data"]).startswith(b"%PDF")
        metrics = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            assert chromium.execute_script("return document.documentElement.scrollWidth") <= 360
        finally:
            chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        timing = "return performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
        return float(chromium.execute_script(timing))

    return check
