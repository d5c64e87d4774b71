import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import fusion.evaluation
from fusion.evaluation.discrimination import delong
from fusion.evaluation.evaluate import evaluate
from fusion.evaluation.pooling import pool_cases
from fusion.records import Predictions

SETTINGS = {"level": 0.95, "n_bootstrap": 100, "seed": 0}
TWO_LABEL_METRICS = {
    "auc", "sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1", "brier",
    "calibration_intercept", "calibration_slope",
}  # fmt: skip


def cross_validated(n_patients=60, n_folds=3, n_views=2, label_names=("benign", "malignant")):
    """Every patient once in test and else in train or validation; ``n_views`` cases each; the last is unlabeled."""
    rng = np.random.default_rng(0)
    n_labels = len(label_names)
    truth = rng.integers(0, n_labels, n_patients)
    rows = {name: [] for name in ("patient_ids", "centers", "parts", "folds", "labels", "case_ids")}
    probabilities = []
    for fold in range(n_folds):
        for patient in range(n_patients):
            part = "test" if patient % n_folds == fold else "validation" if patient % 7 == 0 else "train"
            label = "" if patient == n_patients - 1 else label_names[truth[patient]]
            for view in range(n_views):
                logits = rng.normal(size=n_labels) + 1.5 * np.eye(n_labels)[truth[patient]]
                probabilities.append(np.exp(logits) / np.exp(logits).sum())
                values = (f"p{patient}", "AB"[patient % 2], part, fold, label, f"p{patient}-{view}")
                for column, value in zip(rows.values(), values, strict=True):
                    column.append(value)
    columns = {name: tuple(column) for name, column in rows.items()}
    return Predictions(model="m", label_names=label_names, probabilities=np.array(probabilities), **columns)


@pytest.fixture(scope="module")
def cases():
    return cross_validated()


@pytest.fixture(scope="module")
def metrics(cases):
    return evaluate(pool_cases(cases), cases, thresholds={0: 0.5, 1: 0.4, 2: 0.6}, **SETTINGS)


def test_structure_is_that_of_metrics_json(metrics):
    assert list(metrics) == ["test", "train", "validation", "centers", "test_cases"]
    assert set(metrics["test"]) == set(metrics["test_cases"]) == TWO_LABEL_METRICS | {"auc_fold_mean"}
    assert set(metrics["train"]) == set(metrics["centers"]["A"]) == TWO_LABEL_METRICS
    assert set(metrics["test"]["auc"]) == {"value", "ci_low", "ci_high", "n"}
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_auc_is_pooled_over_the_held_out_parts_with_the_fold_mean_beside_it(cases, metrics):
    patients = pool_cases(cases)
    test = patients.select(p == "test" and y != "" for p, y in zip(patients.parts, patients.labels, strict=True))
    labels, scores = np.array(test.labels) == "malignant", test.probabilities[:, 1]
    folds = np.array(test.folds)
    assert metrics["test"]["auc"] == delong(labels.astype(int), scores, level=0.95).as_json()
    areas = [roc_auc_score(labels[folds == k], scores[folds == k]) for k in range(3)]
    assert metrics["test"]["auc_fold_mean"]["value"] == pytest.approx(np.mean(areas))


def test_unlabeled_patients_are_in_no_figure(metrics):
    assert metrics["test"]["auc"]["n"] == 59
    assert metrics["test_cases"]["auc"]["n"] == 59
    assert sum(center["auc"]["n"] for center in metrics["centers"].values()) == 59


def test_a_patient_in_two_folds_of_train_counts_once(cases, metrics):
    patients = pool_cases(cases)
    train = {
        patient
        for patient, part, label in zip(patients.patient_ids, patients.parts, patients.labels, strict=True)
        if part == "train" and label
    }
    assert metrics["train"]["auc"]["n"] == metrics["train"]["brier"]["n"] == len(train)


def test_each_row_is_judged_by_its_own_folds_threshold(cases):
    patients = pool_cases(cases)
    thresholds = {0: 0.0, 1: 1.1, 2: 1.1}
    metrics = evaluate(patients, cases, thresholds=thresholds, **SETTINGS)
    positive = [
        fold
        for fold, part, label in zip(patients.folds, patients.parts, patients.labels, strict=True)
        if part == "test" and label == "malignant"
    ]
    assert metrics["test"]["sensitivity"]["value"] == pytest.approx(positive.count(0) / len(positive))


def test_a_fold_without_a_threshold_is_refused(cases):
    with pytest.raises(ValueError, match=r"none came for \[1, 2\]"):
        evaluate(pool_cases(cases), cases, thresholds={0: 0.5}, **SETTINGS)


def test_one_fold_has_no_fold_mean_and_parts_without_rows_are_left_out(cases):
    held_out = cases.select(part == "test" and fold == 0 for part, fold in zip(cases.parts, cases.folds, strict=True))
    metrics = evaluate(pool_cases(held_out), held_out, thresholds={0: 0.5}, **SETTINGS)
    assert list(metrics) == ["test", "centers", "test_cases"]
    assert "auc_fold_mean" not in metrics["test"]


def test_no_labels_at_all_give_no_figures(cases):
    blind = replace(cases, labels=("",) * len(cases.labels))
    assert evaluate(pool_cases(blind), blind, thresholds={}, **SETTINGS) == {}


def test_a_center_with_one_label_has_null_where_nothing_is_defined(cases):
    center = ["C" if label == "benign" else center for label, center in zip(cases.labels, cases.centers, strict=True)]
    moved = replace(cases, centers=tuple(center))
    metrics = evaluate(pool_cases(moved), moved, thresholds=dict.fromkeys(range(3), 0.5), **SETTINGS)
    assert metrics["centers"]["C"]["auc"]["value"] is None
    assert metrics["centers"]["C"]["sensitivity"] == {"value": None, "ci_low": None, "ci_high": None, "n": 0}
    assert metrics["centers"]["C"]["specificity"]["value"] is not None


def test_three_labels():
    cases = cross_validated(label_names=("a", "b", "c"))
    patients = pool_cases(cases)
    metrics = evaluate(patients, cases, thresholds={}, **SETTINGS)
    assert set(metrics["test"]) == {"auc", "accuracy", "brier", "auc_a", "auc_b", "auc_c"}
    assert metrics["test"]["auc"]["value"] == pytest.approx(
        np.mean([metrics["test"][f"auc_{name}"]["value"] for name in "abc"])
    )
    assert metrics["test"]["auc"]["ci_low"] > 0.6


def test_noise_stays_within_its_interval_of_chance():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        labels = (rng.random(60) < 0.3).astype(int)
        estimate = delong(labels, rng.random(60), level=0.95)
        covered += estimate.ci_low < 0.5 < estimate.ci_high
    assert 182 <= covered <= 199


def test_evaluation_imports_neither_torch_nor_models():
    for path in Path(fusion.evaluation.__file__).parent.glob("*.py"):
        imports = [line for line in path.read_text().splitlines() if line.lstrip().startswith(("import ", "from "))]
        assert not [line for line in imports if "torch" in line or "fusion.models" in line], path.name
