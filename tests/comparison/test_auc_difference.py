import math

import numpy as np
import pytest

from fusion.comparison.auc_difference import auc, bootstrap_difference, fold_differences
from fusion.evaluation.discrimination import delong_difference

LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
OLD = np.array([0.1, 0.3, 0.2, 0.6, 0.5, 0.4, 0.7, 0.5, 0.9, 0.2])
NEW = np.array([0.2, 0.2, 0.2, 0.5, 0.7, 0.6, 0.7, 0.6, 0.8, 0.4])
THREE = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
PROBABILITIES = np.array(
    [
        [0.6, 0.3, 0.1],
        [0.5, 0.3, 0.2],
        [0.2, 0.5, 0.3],
        [0.3, 0.4, 0.3],
        [0.4, 0.4, 0.2],
        [0.1, 0.6, 0.3],
        [0.2, 0.2, 0.6],
        [0.3, 0.3, 0.4],
        [0.5, 0.1, 0.4],
        [0.1, 0.2, 0.7],
    ]
)
SETTINGS = {"level": 0.95, "n_bootstrap": 1000, "seed": 0}


def test_auc_with_ties_is_that_of_proc() -> None:
    # R: pROC::auc(roc(y, new)), the mean of the three one-vs-rest ones for three labels
    assert auc(LABELS, NEW) == pytest.approx(0.82)
    assert auc(THREE, PROBABILITIES) == pytest.approx(0.888888888889)
    assert math.isnan(auc(np.zeros(10, dtype=int), NEW))
    assert math.isnan(auc(np.where(THREE == 2, 1, THREE), PROBABILITIES))


def test_difference_agrees_with_delong_in_a_large_sample() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(2, size=400)
    shared = labels + rng.normal(size=400)
    first, second = shared + 0.7 * rng.normal(size=400), shared + 1.2 * rng.normal(size=400)
    paired, boot = (
        delong_difference(labels, first, second, level=0.95),
        bootstrap_difference(labels, first, second, **SETTINGS),
    )
    assert boot.difference.value == pytest.approx(paired.difference.value)
    assert boot.difference.ci_low == pytest.approx(paired.difference.ci_low, abs=0.006)
    assert boot.difference.ci_high == pytest.approx(paired.difference.ci_high, abs=0.006)
    assert boot.p == pytest.approx(paired.p, abs=0.03)


def test_delong_beside_it_is_that_of_proc() -> None:
    # R: roc.test(roc(y, new), roc(y, old), paired = TRUE)[c("p.value", "conf.int")]
    paired = delong_difference(LABELS, NEW, OLD, level=0.95)
    assert paired.p == pytest.approx(0.414216178243)
    assert (paired.difference.ci_low, paired.difference.ci_high) == pytest.approx((-0.140045583818, 0.340045583818))


def test_equal_models_do_not_differ() -> None:
    for labels, scores in ((LABELS, NEW), (THREE, PROBABILITIES)):
        same = bootstrap_difference(labels, scores, scores.copy(), **SETTINGS)
        assert (same.difference.value, same.p) == (0.0, 1.0)


def test_no_spread_is_no_interval() -> None:
    never = bootstrap_difference(LABELS, LABELS.astype(float), np.zeros(10), **SETTINGS)
    assert never.difference.value == 0.5
    assert math.isnan(never.difference.ci_low)
    assert math.isnan(never.p)


def test_a_missing_label_defines_nothing() -> None:
    missing = bootstrap_difference(np.ones(10, dtype=int), NEW, OLD, **SETTINGS)
    assert math.isnan(missing.difference.value)
    assert math.isnan(missing.p)


def test_copies_of_rows_prove_nothing() -> None:
    patients = np.tile(np.arange(10), 3)
    one = bootstrap_difference(LABELS, NEW, OLD, **SETTINGS)
    three = bootstrap_difference(np.tile(LABELS, 3), np.tile(NEW, 3), np.tile(OLD, 3), **SETTINGS, patients=patients)
    assert three.difference.ci_low == pytest.approx(one.difference.ci_low)
    assert (three.difference.n, three.p) == (10, one.p)


def test_folds_are_compared_one_by_one() -> None:
    folds = np.array([0, 0, 1, 1, 2, 0, 0, 1, 1, 1])
    found = fold_differences(LABELS, NEW, OLD, folds)
    assert (found.folds, found.left_out) == ((0, 1), (2,))
    # Fold 0: negatives .2 .2 against positives .6 .7 (new), .1 .3 against .4 .7 (old): both perfect.
    # Fold 1: .2 .5 against .6 .8 .4, 5 of 6 pairs; .2 .6 against .5 .9 .2, 1 + 2 + 1/2 of 6.
    assert found.values == pytest.approx([0.0, 5 / 6 - 3.5 / 6])
