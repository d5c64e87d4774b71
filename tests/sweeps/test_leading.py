from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from swept_runs import LABELS, predictions, write_run

from fusion.comparison.auc_difference import bootstrap_difference
from fusion.comparison.holm import holm
from fusion.evaluation.evaluate import of_part
from fusion.records import Predictions
from fusion.sweeps.leading import compare_leading, fold_mean_difference
from fusion.sweeps.score import inner_score

INTERVALS = {"level": 0.95, "n_bootstrap": 300, "seed": 4}


def inner(strength: float, seed: int, n_folds: int) -> Predictions:
    return of_part(replace(predictions(strength, seed=seed, n_folds=n_folds), case_ids=None), "validation")


def test_with_one_fold_it_is_the_paired_bootstrap_of_the_comparison() -> None:
    first, second = inner(1.0, 1, 1), inner(0.3, 2, 1)
    found = fold_mean_difference(first, second, *INTERVALS.values())
    labels = np.array([LABELS.index(label) for label in first.labels])
    expected = bootstrap_difference(
        labels, first.probabilities[:, 1], second.probabilities[:, 1], patients=first.patient_ids, **INTERVALS
    )
    assert found.p == expected.p
    assert found.difference.as_json() == pytest.approx(expected.difference.as_json())


def test_it_is_the_difference_of_the_inner_scores_of_the_runs(tmp_path: Path) -> None:
    folders = ["best", "next", "last"]
    for seed, (folder, strength) in enumerate(zip(folders, (1.5, 0.8, 0.1), strict=True)):
        write_run(tmp_path / folder, predictions(strength, seed=seed))
    scores = {folder: score.auc for folder in folders if (score := inner_score(tmp_path / folder))}
    pairs = compare_leading(tmp_path, folders, **INTERVALS)
    assert [(pair["better"], pair["other"]) for pair in pairs] == [("best", "next"), ("best", "last"), ("next", "last")]
    for pair in pairs:
        difference = pair["difference"]
        assert difference["value"] == pytest.approx(scores[pair["better"]] - scores[pair["other"]])
        assert difference["ci_low"] < difference["value"] < difference["ci_high"]
    assert [pair["p_holm"] for pair in pairs] == holm([pair["p"] for pair in pairs])
    assert pairs[1]["p"] < 0.05


def test_rows_in_another_order_are_the_same_rows(tmp_path: Path) -> None:
    first, second = inner(1.0, 1, 2), inner(0.3, 2, 2)
    order = np.random.default_rng(0).permutation(len(second.labels))
    columns = {
        name: tuple(getattr(second, name)[row] for row in order)
        for name in ("patient_ids", "centers", "parts", "folds", "labels")
    }
    shuffled = replace(second, probabilities=second.probabilities[order], case_ids=columns["patient_ids"], **columns)
    write_run(tmp_path / "a", replace(first, case_ids=first.patient_ids))
    write_run(tmp_path / "b", replace(second, case_ids=second.patient_ids))
    write_run(tmp_path / "c", shuffled)
    of_b, of_c = (compare_leading(tmp_path, ["a", name], **INTERVALS)[0]["difference"] for name in ("b", "c"))
    assert of_b == of_c


def test_the_same_run_twice_differs_by_nothing() -> None:
    found = fold_mean_difference(inner(1.0, 1, 2), inner(1.0, 1, 2), *INTERVALS.values())
    assert (found.difference.value, found.p) == (0.0, 1.0)


def test_more_than_two_labels_are_compared_one_against_the_rest() -> None:
    names = ("a", "b", "c")
    base = inner(1.0, 1, 2)
    rng = np.random.default_rng(3)
    truth = np.arange(len(base.labels)) % 3

    def model(strength: float) -> Predictions:
        logits = rng.normal(size=(len(truth), 3)) + strength * np.eye(3)[truth]
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        ids = tuple(f"{row}" for row in range(len(truth)))
        labels = tuple(names[i] for i in truth)
        return replace(base, label_names=names, labels=labels, patient_ids=ids, probabilities=probabilities)

    found = fold_mean_difference(model(3.0), model(0.0), *INTERVALS.values())
    assert found.difference.value > 0.2
    assert found.p < 0.05


def test_a_fold_without_a_label_is_left_out_and_without_any_there_is_no_difference() -> None:
    both, other = inner(1.0, 1, 2), inner(0.3, 2, 2)
    kept = [fold == 0 or label == "benign" for fold, label in zip(both.folds, both.labels, strict=True)]
    found = fold_mean_difference(both.select(kept), other.select(kept), *INTERVALS.values())
    alone = [fold == 0 for fold in both.folds]
    expected = fold_mean_difference(both.select(alone), other.select(alone), *INTERVALS.values())
    assert found.difference.value == pytest.approx(expected.difference.value)
    benign = [label == "benign" for label in both.labels]
    assert np.isnan(fold_mean_difference(both.select(benign), other.select(benign), *INTERVALS.values()).p)
