import numpy as np
import pytest

from fusion.classical.imbalance import at_prevalence, prevalence, rebalance
from fusion.errors import FusionError


def test_none_changes_nothing():
    X, y, weights = np.ones((3, 1)), np.array([0, 0, 1]), np.array([1.0, 2, 3])
    for before, after in zip((X, y, weights), rebalance(X, y, weights, imbalance="none", seed=0), strict=True):
        np.testing.assert_array_equal(before, after)


def test_weights_make_the_labels_weigh_the_same():
    y, weights = np.array([0, 0, 0, 1]), np.array([1.0, 1, 2, 1])
    _, _, balanced = rebalance(np.ones((4, 1)), y, weights, imbalance="weights", seed=0)
    # By hand: 5 / (2 * 4) for the first three, 5 / (2 * 1) for the last.
    assert balanced == pytest.approx([0.625, 0.625, 1.25, 2.5])
    assert prevalence(y, balanced) == pytest.approx(0.5)


def test_smote_adds_rows_between_those_of_the_rarer_label():
    X = np.array([[0.0], [1], [2], [3], [4], [10], [11]])
    y, weights = np.array([0, 0, 0, 0, 0, 1, 1]), np.array([1.0, 1, 1, 1, 1, 0.5, 1.5])
    more, labels, more_weights = rebalance(X, y, weights, imbalance="smote", seed=0)
    np.testing.assert_array_equal(more[:7], X)
    np.testing.assert_array_equal(more_weights[:7], weights)
    assert labels.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert np.all((more[7:] >= 10) & (more[7:] <= 11))
    assert more_weights[7:] == pytest.approx([1, 1, 1])


def test_smote_cannot_start_from_one_row():
    with pytest.raises(FusionError, match=r"two or more training rows of each label.* came 1 of label number 1"):
        rebalance(np.zeros((4, 1)), np.array([0, 0, 0, 1]), np.ones(4), imbalance="smote", seed=0)


def test_shifted_probabilities_by_elkans_formula():
    # Theorem 2: p' = b' (p - p b) / (b - p b + b' p - b b'), with b = 0.5 and b' = 0.1.
    p, b, to = np.array([0.0, 0.2, 0.5, 0.9, 1.0]), 0.5, 0.1
    expected = to * (p - p * b) / (b - p * b + to * p - b * to)
    assert at_prevalence(p, fitted=b, true=to) == pytest.approx(expected)
    assert at_prevalence(np.array([0.5]), fitted=0.5, true=0.1) == pytest.approx([0.1])


def test_a_shift_never_leaves_the_range_by_rounding() -> None:
    rng = np.random.default_rng(0)
    for fitted, true in rng.uniform(0.05, 0.95, (200, 2)):
        shifted = at_prevalence(np.linspace(0, 1, 36), fitted=fitted, true=true)
        assert (shifted[0], shifted[-1]) == (0, 1)
        assert np.all((shifted >= 0) & (shifted <= 1))
