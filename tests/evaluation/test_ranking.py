import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fusion.evaluation import precision_recall, roc
from fusion.evaluation.bootstrap import bca_interval, bootstrap_weights, jackknife_contributions
from fusion.evaluation.ranking import ranked_rows
from fusion.evaluation.roc import bootstrap_auc


def test_counts_at_each_distinct_score_by_hand():
    labels, scores, index = np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.2, 0.9]), np.array([0, 1, 2, 0])
    positive, negative = ranked_rows(labels, scores, index).counts(np.array([[1.0, 1, 1], [2, 0, 3]]))
    assert positive.tolist() == [[1, 1], [0, 3]]
    assert negative.tolist() == [[1, 1], [2, 2]]


@pytest.mark.parametrize("decimals", [1, 9])
def test_vectorized_replicates_equal_a_naive_loop_on_the_same_draws(decimals):
    rng = np.random.default_rng(0)
    labels, index = np.repeat([0, 1], [25, 15]), np.append(np.arange(20), np.arange(20))
    labels[20:] = labels[:20] = np.repeat([0, 1], [12, 8])
    scores = rng.normal(labels).round(decimals)
    weights = np.concatenate(list(bootstrap_weights(labels[:20], n_bootstrap=25, seed=1)))
    counts = ranked_rows(labels, scores, index).counts(weights)
    figures = (
        (roc.auc_of_counts(*counts), roc_auc_score),
        (precision_recall._average_precision(*counts), average_precision_score),
        (
            roc._standardize(roc._mean_sensitivity(*counts, 0.2), 0.1),
            lambda y, s: roc_auc_score(y, s, max_fpr=0.2),
        ),
    )
    for row, drawn in enumerate(weights[:, index].astype(int)):
        y, s = np.repeat(labels, drawn), np.repeat(scores, drawn)
        for ours, theirs in figures:
            assert ours[row] == pytest.approx(theirs(y, s), abs=1e-12)


def test_the_interval_is_bca_of_a_naive_bootstrap_and_jackknife():
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], [18, 9])
    scores = rng.normal(labels).round(1)
    estimate = bootstrap_auc(labels, scores, level=0.9, n_bootstrap=300, seed=2)
    weights = np.concatenate(list(bootstrap_weights(labels, n_bootstrap=300, seed=2))).astype(int)
    replicates = np.array([roc_auc_score(np.repeat(labels, drawn), np.repeat(scores, drawn)) for drawn in weights])
    left_out = np.array([roc_auc_score(np.delete(labels, i), np.delete(scores, i)) for i in range(27)])
    expected = bca_interval(
        roc_auc_score(labels, scores), replicates, jackknife_contributions(left_out, labels), level=0.9
    )
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx(expected, abs=1e-12)
