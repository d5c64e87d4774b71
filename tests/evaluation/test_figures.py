from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from fusion.evaluation.figures import figures, fold_mean, labels_of
from fusion.evaluation.settings import Settings
from fusion.records import Predictions

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "conf/evaluation/default.yaml").read_text())
SETTINGS = Settings.from_config({**CONFIG, "n_bootstrap": 100}, seed=0)


@pytest.fixture(scope="module")
def three_labels():
    """60 patients in three folds, every second of them with two rows in different folds."""
    rng = np.random.default_rng(0)
    patients = np.append(np.arange(60), np.arange(0, 60, 2))
    folds = np.append(np.arange(60) % 3, (np.arange(0, 60, 2) + 1) % 3)
    truth = rng.integers(0, 3, 60)[patients]
    logits = rng.normal(size=(90, 3)) + 1.2 * np.eye(3)[truth]
    return Predictions(
        model="m",
        label_names=("a", "b", "c"),
        patient_ids=tuple(f"p{i}" for i in patients),
        centers=("A",) * 90,
        parts=("test",) * 90,
        folds=tuple(int(fold) for fold in folds),
        labels=tuple("abc"[k] for k in truth),
        probabilities=np.exp(logits) / np.exp(logits).sum(1, keepdims=True),
    )


def macro_auc_of(rows, fold):
    held_out = np.array(rows.folds) == fold
    return roc_auc_score(labels_of(rows)[held_out], rows.probabilities[held_out], multi_class="ovr")


def test_fold_mean_of_several_labels_is_the_mean_of_the_folds_macro_auc(three_labels):
    estimate = fold_mean(three_labels, settings=SETTINGS)["auc_fold_mean"]
    assert estimate.value == pytest.approx(np.mean([macro_auc_of(three_labels, fold) for fold in range(3)]))
    assert estimate.n == 60


def test_fold_mean_of_several_labels_has_the_interval_of_the_bootstrap(three_labels):
    once = three_labels.select(i < 60 for i in range(90))
    estimate = fold_mean(once, settings=SETTINGS)["auc_fold_mean"]
    rng, labels, folds = np.random.default_rng(1), labels_of(once), np.array(once.folds)
    strata = [np.flatnonzero((labels == k) & (folds == fold)) for k in range(3) for fold in range(3)]
    again = []
    for _ in range(300):
        drawn = np.concatenate([rng.choice(rows, len(rows)) for rows in strata])
        of_folds = [drawn[folds[drawn] == fold] for fold in range(3)]
        areas = [roc_auc_score(labels[r], once.probabilities[r], multi_class="ovr") for r in of_folds]
        again.append(np.mean(areas))
    assert estimate.ci_high - estimate.ci_low == pytest.approx(np.ptp(np.quantile(again, [0.025, 0.975])), rel=0.2)


def test_a_fold_without_one_of_the_labels_is_left_out_of_the_mean(three_labels):
    rows = three_labels.select(
        fold < 2 or label != "c" for fold, label in zip(three_labels.folds, three_labels.labels, strict=True)
    )
    estimate = fold_mean(rows, settings=SETTINGS)["auc_fold_mean"]
    assert estimate.value == pytest.approx(np.mean([macro_auc_of(rows, fold) for fold in range(2)]))
    without = rows.select(label != "c" for label in rows.labels)
    assert np.isnan(fold_mean(without, settings=SETTINGS)["auc_fold_mean"].value)


def test_figures_of_a_label_are_those_of_two(three_labels):
    several = figures(three_labels, thresholds={}, settings=SETTINGS)
    share = three_labels.probabilities[:, 1]
    alone = replace(
        three_labels,
        label_names=("rest", "b"),
        labels=tuple(label if label == "b" else "rest" for label in three_labels.labels),
        probabilities=np.stack([1 - share, share], axis=1),
    )
    two = figures(alone, thresholds=dict.fromkeys(range(3), 0.5), settings=SETTINGS)
    for name in ("auc", "partial_auc", "ici", "calibration_intercept", "calibration_slope"):
        assert several[f"{name}_b"] == two[name]
