import numpy as np
import pytest

from fusion.comparison.auc_difference import auc
from fusion.comparison.best_of_k import best_of_k, quantiles

SETTINGS = {"n_permutations": 300, "seed": 0}


def test_aucs_are_those_of_each_model() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=50), rng.normal(size=(3, 50)).round(1)
    found = best_of_k(labels, list(scores), **SETTINGS)
    assert found is not None
    assert found.aucs == pytest.approx([auc(labels, one) for one in scores])
    assert found.best == int(np.argmax(found.aucs))
    three = rng.integers(3, size=50)
    probabilities = rng.dirichlet(np.ones(3), (2, 50))
    found = best_of_k(three, list(probabilities), **SETTINGS)
    assert found is not None
    assert found.aucs == pytest.approx([auc(three, one) for one in probabilities])


def test_luck_of_one_model_is_the_distribution_of_the_rank_sum() -> None:
    # R: sqrt((7 + 9 + 1) / (12 * 7 * 9)), the standard deviation of the AUC of noise, is 0.1499559
    labels, scores = np.repeat([0, 1], [7, 9]), np.arange(16.0)
    found = best_of_k(labels, [scores], n_permutations=20_000, seed=0)
    assert found is not None
    assert found.luck.std() == pytest.approx(0.1499559, rel=0.02)
    assert found.luck.mean() == pytest.approx(0.5, abs=0.005)
    # All negatives below all positives: one of choose(16, 7) orders.
    assert found.p == pytest.approx(1 / 11440, abs=3e-4)


def test_the_best_of_nine_holds_its_level_where_the_best_taken_for_itself_does_not() -> None:
    rng = np.random.default_rng(3)
    of_best, as_if_alone = [], []
    for _ in range(200):
        labels, shared = rng.permutation(np.repeat([0, 1], 30)), rng.normal(size=60)
        scores = [shared + rng.normal(size=60) for _ in range(9)]
        nine = best_of_k(labels, scores, n_permutations=199, seed=1)
        assert nine is not None
        alone = best_of_k(labels, [scores[nine.best]], n_permutations=199, seed=1)
        assert alone is not None
        of_best.append(nine.p <= 0.05)
        as_if_alone.append(alone.p <= 0.05)
    assert 0.02 <= np.mean(of_best) <= 0.085
    assert np.mean(as_if_alone) > 0.13


def test_p_counts_the_observed_order_as_one_of_the_permutations() -> None:
    found = best_of_k(np.repeat([0, 1], 20), [np.arange(40.0)], n_permutations=99, seed=0)
    assert found is not None
    assert found.p == 0.01


def test_models_that_are_copies_have_the_luck_of_one() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=40), rng.normal(size=40)
    one, nine = best_of_k(labels, [scores], **SETTINGS), best_of_k(labels, [scores] * 9, **SETTINGS)
    assert one is not None
    assert nine is not None
    assert nine.p == one.p
    assert nine.best == 0
    assert quantiles(nine.luck, [0.95])["best_q95"] == quantiles(one.luck, [0.95])["best_q95"]


def test_more_models_have_more_luck() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=60)
    nine = best_of_k(labels, list(rng.normal(size=(9, 60))), **SETTINGS)
    assert nine is not None
    found = quantiles(nine.luck, [0.5, 0.95])
    assert found["best_q95"] > found["one_q95"] > found["best_q50"] > found["one_q50"]


def test_within_centers_prevalence_is_nobodys_merit() -> None:
    centers = np.repeat(["a", "b"], 50)
    labels = np.concatenate([np.repeat([0, 1], [45, 5]), np.repeat([0, 1], [5, 45])])
    scores = np.repeat([0.0, 1.0], 50)  # the model knows the center and nothing else
    everywhere = best_of_k(labels, [scores], **SETTINGS)
    within = best_of_k(labels, [scores], **SETTINGS, strata=list(centers))
    assert everywhere is not None
    assert within is not None
    assert everywhere.p < 0.01
    assert within.p == 1
    assert within.luck.min() == within.luck.max() == within.aucs[0] == pytest.approx(0.9)


def test_a_patient_keeps_one_label_in_all_rows() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=40), rng.normal(size=40)
    patients = np.tile(np.arange(40), 4)
    one = best_of_k(labels, [scores], **SETTINGS)
    copied = best_of_k(np.tile(labels, 4), [np.tile(scores, 4)], **SETTINGS, patients=patients)
    assert one is not None
    assert copied is not None
    assert copied.luck == pytest.approx(one.luck)
    assert copied.p == one.p


def test_a_missing_label_defines_nothing() -> None:
    assert best_of_k(np.zeros(10, dtype=int), [np.arange(10.0)], **SETTINGS) is None
