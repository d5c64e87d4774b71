"""A small finished run with the configuration that conf/ gives, so that facts are asked of the real keys."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image

from fusion.entry import plain_config, register_resolvers
from fusion.explanation.branch_table import BRANCHES, PAIRS
from fusion.storage import file_digest

CONF = Path(__file__).parents[2] / "conf"
LABELS = ("benign", "malignant")
CENTERS = ("north", "south")
N_FOLDS = 2
WriteRun = Callable[..., Path]


@pytest.fixture(scope="session")
def composed() -> dict[str, Any]:
    """The configuration as train.py would write it; composing it takes a second, so it is done once."""
    register_resolvers()
    overrides = ["cohort=breast", "cohort.root=data", "split=kfold", f"split.n_folds={N_FOLDS}"]
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return plain_config(compose("train", overrides=overrides))


def changed(config: dict[str, Any], options: dict[str, str], values: dict[str, Any]) -> dict[str, Any]:
    """The configuration with other options of groups that are plain files, and other values of keys."""
    config = deepcopy(config)
    for group, option in options.items():
        content = yaml.safe_load((CONF / group / f"{option}.yaml").read_text())
        # A model's file says more than its own group (# @package _global_).
        config |= (
            {"split": config["split"] | content["split"], group: content[group]}
            if group in content
            else {group: content}
        )
    for key, value in values.items():
        *parents, last = key.split(".")
        at = config
        for parent in parents:
            at = at[parent]
        at[last] = value
    return config


def estimate(value: float, n: int = 20) -> dict[str, Any]:
    return {"value": value, "ci_low": value - 0.1, "ci_high": value + 0.1, "n": n}


def figures() -> dict[str, Any]:
    names = ("auc", "sensitivity", "specificity", "accuracy", "brier", "brier_scaled", "calibration_slope")
    return {name: estimate(0.7) for name in names}


def metrics(split_sha256: str) -> dict[str, Any]:
    point = {"rule": {"rule": "youden"}, "thresholds": {"0": 0.5, "1": 0.4}, "figures": figures()}
    difference = {"first": "model", "second": "reader", "difference": estimate(0.05), "p": 0.2}
    return {
        "split_sha256": split_sha256,
        "folds": {"finished": [0, 1], "planned": N_FOLDS},
        "test": figures(),
        "train": figures(),
        "validation": figures(),
        "centers": {},
        "operating_points": {"youden": point},
        "curves": {"reliability": [], "decision": []},
        "between_centers": {"auc": None, "probe": None},
        "subgroups": {
            "Age": [
                {"level": "< 50", "n": 12, "n_positive": 6, "figures": figures(), "note": None},
                {"level": ">= 50", "n": 8, "n_positive": 4, "figures": None, "note": "too few"},
            ]
        },
        "readers": {"name": "BIRADS", "is_input": False, "text": "It is no input.", "differences": [difference]},
        "sample_size": {
            "n_train": 10, "n_events": 5, "n_parameters": 30, "events_per_parameter": 0.17,
            "required_n": 900, "required_by": {}, "warning": "10 training patients.",
        },
        "learning_curve": [],
        "branches": {"image": {"auc": estimate(0.6)}, "clinical": {"auc": estimate(0.65)}},
    }  # fmt: skip


def variable(name: str, missing: int, p: float | None, smd: float | None) -> dict[str, Any]:
    figures = dict.fromkeys(("mean", "sd", "median", "q1", "q3"), 50.0)
    summary = {"n": 20 - missing, "missing": missing, **figures}
    groups = dict.fromkeys(LABELS, summary)
    return {
        "name": name, "kind": "number", "unit": None, "all": summary, "groups": groups, "test": "mann_whitney",
        "p": p, "smd": smd,
    }  # fmt: skip


def table_one() -> dict[str, Any]:
    variables = [variable("Age", 3, 0.01, 0.9), variable("Signs=a", 0, None, None), variable("Signs=b", 0, 0.5, 0.2)]
    label = {"groups": {"benign": 10, "malignant": 10}, "variables": variables}
    return {"patients": 20, "n_folds": N_FOLDS, "part": None, "label": label}


def patient_flow() -> dict[str, Any]:
    lacking = {"image": {"cases": 0, "patients": 0}, "mask": {"cases": 2, "patients": 2}, "radiomics": None}
    excluded = [{"column": "Classification", "word": "normal", "rows": 4, "patients": 4}]
    parts = [
        {"fold": fold, "part": part, "center": "breast", "label": label, "patients": 5}
        for fold in range(N_FOLDS)
        for part in ("train", "test")
        for label in LABELS
    ]
    return {
        "rows": 24, "excluded": excluded, "cases": 20, "patients": 20, "without": lacking, "unused": {}, "parts": parts,
    }  # fmt: skip


def write_attributions(folder: Path) -> None:
    values = ("case_id", "fold", "name", "value", "completeness_error")
    write_csv(folder / "inputs.csv", (*values, "unit"), ("cp0", 0, "Age", 0.1, 0, "logit"))
    for branch in ("radiomics", "clinical"):
        write_csv(folder / f"{branch}.csv", values, ("cp0", 0, "x", 0.1, 0))
    numbers = ("probability", "base", *BRANCHES, *("_".join(pair) for pair in PAIRS))
    numbers += tuple(f"gate_{branch}" for branch in BRANCHES)
    header = ("case_id", "fold", *numbers, "largest_gate", "largest_value", "agree")
    rows = [(case_id, 0, *[0.1] * len(numbers), "image", "image", "yes") for case_id in ("cp0", "cp4")]
    write_csv(folder / "shapley.csv", header, *rows)
    gates = ("case_id", "patient_id", "fold", "gate_image")
    write_csv(folder / "branches.csv", gates, ("cp0", "p0", 0, 0.5))
    write_csv(folder / "pixels.csv", ("case_id", "fold", "method", "share_lesion"), ("cp0", 0, "grad_cam", 0.4))
    checks = [(fold, "grad_cam", 6, verdict) for fold, verdict in enumerate(("faithful", "unfaithful"))]
    write_csv(folder / "pixel_checks.csv", ("fold", "method", "n_cases", "verdict"), *checks)
    (folder / "images").mkdir()
    Image.new("L", (8, 8)).save(folder / "images" / "cp0.png")


def write_csv(path: Path, *rows: tuple[Any, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def rows_of_predictions() -> list[tuple[Any, ...]]:
    rows = []
    for fold in range(N_FOLDS):
        for number in range(20):
            part = "test" if number // 2 % N_FOLDS == fold else "train"
            # Of each label one in five is called the other one.
            truth, wrong = number % 2, number % 10 < 2
            p = 0.8 if truth != wrong else 0.2
            rows.append((f"p{number}", CENTERS[number // 4 % 2], fold, part, LABELS[truth], 1 - p, p))
    return rows


def _write(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    manifest = {
        "versions": {"python": "3.11.7", "pyradiomics": "3.0.1"},
        "git": {"revision": "0f" * 20, "dirty": False},
        "weights": "none",
        "device": "cpu",
        "cohort": {"patients": 20, "cases": 20, "labels": {"benign": 10, "malignant": 10}, "centers": {"breast": 20}},
        "sha256": {"table": "11" * 32, "images": "22" * 32, "masks": "33" * 32},
    }
    _write_config(folder, config)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "table_one.json").write_text(json.dumps(table_one()))
    (folder / "patient_flow.json").write_text(json.dumps(patient_flow()))
    ids, outcome = ("patient_id", "center", "fold", "part", "label"), ("prob_benign", "prob_malignant")
    write_csv(folder / "predictions.csv", (*ids, *outcome), *rows_of_predictions())
    cases = [(f"c{row[0]}", *row) for row in rows_of_predictions()]
    write_csv(folder / "predictions_cases.csv", ("case_id", *ids, *outcome), *cases)
    write_csv(folder / "predictions_inner.csv", (*ids, *outcome), ("p2", "north", 0, "train", "benign", 0.9, 0.1))
    write_csv(folder / "split.csv", ids[:4], ("p0", "north", 0, "test"))
    (folder / "metrics.json").write_text(json.dumps(metrics(file_digest(folder / "split.csv"))))
    write_csv(folder / "features.csv", ("fold", "feature", "weight"), (0, "original_glcm_Id", 0.5), (1, "x", 0.1))
    write_attributions(folder / "attributions")
    for fold in range(N_FOLDS):
        write_csv(folder / f"fold_{fold}" / "metrics.csv", ("epoch", "train/loss"), (0, 0.7))
        (folder / f"fold_{fold}" / "model.ckpt").write_bytes(b"weights")
        facts = {"candidates": {"radiomics": 753, "clinical": 40}, "calibration": {"name": "none"}}
        (folder / f"fold_{fold}" / "fold.json").write_text(json.dumps(facts))
    return folder


def _write_config(folder: Path, config: dict[str, Any]) -> None:
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, composed: dict[str, Any]) -> Path:
    """The run of `python train.py cohort=breast split=kfold`, to be read only."""
    return _write(tmp_path_factory.mktemp("finished") / "run", composed)


@pytest.fixture
def run_dir(tmp_path: Path, finished: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def write_run(run_dir: Path, composed: dict[str, Any]) -> WriteRun:
    """The run with other options of groups, and other values: ``write_run({"model": "deep"}, {"seed": 1})``."""

    def write(options: dict[str, str], values: dict[str, Any]) -> Path:
        _write_config(run_dir, changed(composed, options, values))
        return run_dir

    return write
