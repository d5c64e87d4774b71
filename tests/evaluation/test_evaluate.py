import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

import fusion.evaluation
from fusion.evaluation.discrimination import delong
from fusion.evaluation.evaluate import evaluate, evaluate_in_cohort, inner_score, learning_point, of_part
from fusion.evaluation.pooling import pool_cases
from fusion.evaluation.settings import Settings
from fusion.records import Case, ClinicalColumn, Cohort, Predictions

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "conf/evaluation/default.yaml").read_text())
SETTINGS = Settings.from_config({**CONFIG, "n_bootstrap": 100}, seed=0)
TWO_LABEL_METRICS = {
    "auc", "average_precision", "partial_auc", "sensitivity", "specificity", "ppv", "npv", "accuracy",
    "balanced_accuracy", "f1", "mcc", "lr_positive", "lr_negative", "brier", "brier_scaled", "calibration_intercept",
    "calibration_slope", "ece", "ici", "hosmer_lemeshow",
}  # fmt: skip


def every_point(thresholds):
    """The same thresholds, by fold, for every operating point."""
    return dict.fromkeys(SETTINGS.operating_points, thresholds)


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
    return evaluate(pool_cases(cases), cases, thresholds=every_point({0: 0.5, 1: 0.4, 2: 0.6}), settings=SETTINGS)


def test_structure_is_that_of_metrics_json(metrics):
    assert list(metrics) == [
        *("test", "train", "validation", "centers", "test_cases", "operating_points", "curves", "between_centers")
    ]
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
    metrics = evaluate(patients, cases, thresholds=every_point(thresholds), settings=SETTINGS)
    positive = [
        fold
        for fold, part, label in zip(patients.folds, patients.parts, patients.labels, strict=True)
        if part == "test" and label == "malignant"
    ]
    assert metrics["test"]["sensitivity"]["value"] == pytest.approx(positive.count(0) / len(positive))


def test_a_fold_without_a_threshold_is_refused(cases):
    with pytest.raises(ValueError, match=r"none came for \[1, 2\]"):
        evaluate(pool_cases(cases), cases, thresholds=every_point({0: 0.5}), settings=SETTINGS)


def test_each_operating_point_has_its_rule_its_thresholds_and_its_figures(cases):
    thresholds = every_point({0: 0.5, 1: 0.5, 2: 0.5}) | {"sensitivity_90": dict.fromkeys(range(3), 0.0)}
    metrics = evaluate(pool_cases(cases), cases, thresholds=thresholds, settings=SETTINGS)
    points = metrics["operating_points"]
    assert set(points) == {"youden", "sensitivity_90", "specificity_90", "cost_5"}
    assert points["sensitivity_90"]["rule"] == {"rule": "sensitivity", "at_least": 0.9}
    assert points["sensitivity_90"]["thresholds"] == {"0": 0.0, "1": 0.0, "2": 0.0}
    assert points["sensitivity_90"]["figures"]["sensitivity"]["value"] == 1
    for name in ("sensitivity", "f1", "lr_positive"):
        assert points["youden"]["figures"][name] == metrics["test"][name]


def test_figures_at_a_stated_prevalence_are_there_where_it_is_stated(cases):
    settings = replace(SETTINGS, prevalence=0.05)
    thresholds = every_point(dict.fromkeys(range(3), 0.5))
    test = evaluate(pool_cases(cases), cases, thresholds=thresholds, settings=settings)["test"]
    assert set(test) == TWO_LABEL_METRICS | {"auc_fold_mean", "ppv_at_prevalence", "npv_at_prevalence"}
    assert test["ppv_at_prevalence"]["value"] < test["ppv"]["value"]


def test_curves_are_tables_of_the_test_part(metrics):
    curves = metrics["curves"]
    assert list(curves) == ["reliability", "smooth_calibration", "decision", "impact"]
    assert sum(point["n"] for point in curves["reliability"]) == 59
    assert [point["threshold"] for point in curves["decision"]] == [percent / 100 for percent in range(5, 61)]
    assert [point["threshold"] for point in curves["impact"]] == [percent / 100 for percent in range(5, 61)]


def test_centers_are_summarized(metrics):
    summary = metrics["between_centers"]["auc"]
    centers = [metrics["centers"][name]["auc"]["value"] for name in "AB"]
    assert min(centers) <= summary["value"] <= max(centers)
    assert summary["n_centers"] == 2


def in_cohort(cases, *, reader_is_input=False, **changes):
    """The figures that need the cohort: the reader is right in nine of ten patients, sex is nothing."""
    rng = np.random.default_rng(1)
    truth = {}
    for patient, label in zip(cases.patient_ids, cases.labels, strict=True):
        truth[patient] = truth.get(patient) or label
    cohort = Cohort(
        name="c",
        cases=tuple(
            Case(
                case_id=patient,
                patient_id=patient,
                center="A",
                image=None,
                mask=None,
                label=label or None,
                clinical={"sex": ("f", "m")[i % 2], "age": float(i)},
                reader_score=("low", "high")[int((label == "malignant") != (rng.random() < 0.1))],
            )
            for i, (patient, label) in enumerate(truth.items())
        ),
        label_names=cases.label_names,
        clinical_columns=(ClinicalColumn(name="sex", kind="category"), ClinicalColumn(name="age", kind="number")),
        reader_column="BIRADS",
        reader_levels=("low", "high"),
    )
    patients = pool_cases(cases)
    return evaluate_in_cohort(
        patients,
        patients.select(part == "validation" for part in patients.parts),
        cohort=cohort,
        thresholds=every_point(dict.fromkeys(range(3), 0.5)),
        reader_is_input=reader_is_input,
        settings=replace(SETTINGS, **changes),
    )


def test_subgroups_have_what_few_patients_bear_or_say_that_they_are_too_few(cases):
    subgroups = in_cohort(cases)["subgroups"]
    assert set(subgroups) == {"sex", "age"}
    assert [row["level"] for row in subgroups["sex"]] == ["f", "m"]
    of_many = {"average_precision", "partial_auc", "brier_scaled", "ece", "ici", "hosmer_lemeshow"}
    assert set(subgroups["sex"][0]["figures"]) == TWO_LABEL_METRICS - of_many
    assert sum(row["n"] for row in subgroups["sex"]) == 59
    few = in_cohort(cases, min_patients=31, subgroups={"columns": ["sex"], "bins": 3})["subgroups"]
    assert list(few) == ["sex"]
    assert all(row["figures"] is None and row["note"].startswith("too few") for row in few["sex"])


def test_the_reader_is_judged_on_the_same_patients(cases):
    readers = in_cohort(cases)["readers"]
    assert readers["n"] == 59
    assert readers["reader"]["auc"]["value"] > 0.8
    assert {"model", "model_and_reader"} <= set(readers)
    assert "model_and_reader" not in in_cohort(cases, reader_is_input=True)["readers"]


def test_an_inner_score_is_that_of_the_validation_part(cases):
    patients = pool_cases(cases)
    rows = [part == "validation" and label != "" for part, label in zip(patients.parts, patients.labels, strict=True)]
    inner = patients.select(rows)
    expected = roc_auc_score([label == "malignant" for label in inner.labels], inner.probabilities[:, 1])
    assert inner_score(patients, settings=SETTINGS) == pytest.approx(expected)


def test_a_point_of_the_learning_curve_counts_training_patients_a_fold(cases):
    point = learning_point(cases, settings=SETTINGS)
    assert point["n_train"] == 40
    test = of_part(pool_cases(cases), "test")
    expected = roc_auc_score([label == "malignant" for label in test.labels], test.probabilities[:, 1])
    assert point["auc"]["value"] == pytest.approx(expected)


def test_one_fold_has_no_fold_mean_and_parts_without_rows_are_left_out(cases):
    held_out = cases.select(part == "test" and fold == 0 for part, fold in zip(cases.parts, cases.folds, strict=True))
    metrics = evaluate(pool_cases(held_out), held_out, thresholds=every_point({0: 0.5}), settings=SETTINGS)
    assert list(metrics)[:3] == ["test", "centers", "test_cases"]
    assert not {"train", "validation"} & set(metrics)
    assert "auc_fold_mean" not in metrics["test"]


def test_no_labels_at_all_give_no_figures(cases):
    blind = replace(cases, labels=("",) * len(cases.labels))
    assert evaluate(pool_cases(blind), blind, thresholds={}, settings=SETTINGS) == {}


def test_a_center_with_one_label_has_null_where_nothing_is_defined(cases):
    center = ["C" if label == "benign" else center for label, center in zip(cases.labels, cases.centers, strict=True)]
    moved = replace(cases, centers=tuple(center))
    metrics = evaluate(
        pool_cases(moved), moved, thresholds=every_point(dict.fromkeys(range(3), 0.5)), settings=SETTINGS
    )
    assert metrics["centers"]["C"]["auc"]["value"] is None
    assert metrics["centers"]["C"]["sensitivity"] == {"value": None, "ci_low": None, "ci_high": None, "n": 0}
    assert metrics["centers"]["C"]["specificity"]["value"] is not None


def test_three_labels():
    cases = cross_validated(label_names=("a", "b", "c"))
    patients = pool_cases(cases)
    metrics = evaluate(patients, cases, thresholds={}, settings=SETTINGS)
    figures = {
        *("sensitivity", "specificity", "ppv", "npv", "auc", "partial_auc", "ici"),
        *("calibration_intercept", "calibration_slope"),
    }
    overall = {"auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "mcc", "brier", "brier_scaled", "ece"}
    of_labels = {f"{figure}_{name}" for figure in figures for name in "abc"}
    assert set(metrics["train"]) == overall | of_labels
    assert set(metrics["test"]) == overall | of_labels | {"auc_fold_mean"}
    assert metrics["operating_points"] == {}
    assert list(metrics["curves"]["by_label"]) == ["a", "b", "c"]
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
