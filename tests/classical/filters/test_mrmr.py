import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.classical.filters.mrmr import of_mrmr

LABELS = np.repeat([0.0, 1.0], 4)
SMALL = np.array(
    [
        [1, 2, 3, 4, 5, 6, 7, 9],
        [1, 2, 4, 3, 5, 7, 6, 8],
        [1, 5, 2, 4, 3, 6, 4, 7],
        [3, 1, 2, 2, 1, 3, 2, 4],
        [2, 2, 5, 1, 4, 6, 3, 3],
    ],
    dtype=np.float64,
).T


def chosen(values: NDArray[np.float64], n_features: int, labels: NDArray[np.float64] = LABELS) -> list[int]:
    found = of_mrmr(values, labels, n_features=n_features, seed=0)
    assert found.tolist() == sorted(found)
    return [int(i) for i in found]


def in_order(values: NDArray[np.float64], labels: NDArray[np.float64], n_features: int) -> list[int]:
    """FCQ written out: F of an analysis of variance of two groups, over the mean absolute correlation."""
    groups = [values[labels == label] for label in (0, 1)]
    between = sum(len(group) * (group.mean(0) - values.mean(0)) ** 2 for group in groups)
    within = sum(((group - group.mean(0)) ** 2).sum(0) for group in groups)
    f = between / (within / (len(values) - 2))
    r = np.abs(np.corrcoef(values, rowvar=False))
    order = [int(f.argmax())]
    while len(order) < n_features:
        left = [i for i in range(len(f)) if i not in order]
        order.append(max(left, key=lambda i: f[i] / r[i, order].mean()))
    return order


def test_choices_are_those_of_the_hand_calculation() -> None:
    # R: summary(aov(v ~ factor(y)))[[1]]$F[1] of each column v: 15.764, 19.200, 2.400, 0.429, 1.800; abs(cor(x)):
    # 0-1 .950, 0-2 .723, 0-3 .452, 0-4 .281, 1-2 .700, 1-3 .451, 1-4 .559, 2-3 .345, 2-4 .128, 3-4 .124.
    # 1: F 19.2. 2: F / r of 0, 2, 3, 4 with 1 are 16.6, 3.4, 1.0, 3.2. 3: of 2, 3, 4, with the mean r to 0 and 1,
    # 3.37, .95 and 4.29, though F of column 2 is larger. 4: of 2 and 3, 4.6 and 1.3.
    assert [chosen(SMALL, n) for n in (1, 2, 3, 4)] == [[1], [0, 1], [0, 1, 4], [0, 1, 2, 4]]


def test_many_columns_against_the_formula() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(50) < 0.4).astype(np.float64)
    values = rng.standard_normal((50, 6)) @ rng.standard_normal((6, 40)) + rng.standard_normal((50, 40))
    values += labels[:, None] * rng.random(40)
    order = in_order(values, labels, 15)
    for n_features in (1, 2, 3, 7, 15):
        assert chosen(values, n_features, labels) == sorted(order[:n_features])


@pytest.mark.parametrize("n_features", [5, 6, 100])
def test_fewer_columns_than_asked_for_all_stay(n_features: int) -> None:
    assert chosen(SMALL, n_features) == [0, 1, 2, 3, 4]
    assert chosen(SMALL[:, :1], n_features) == [0]
    assert chosen(SMALL[:, :0], n_features) == []


def test_constant_columns_come_last_and_the_number_holds() -> None:
    values = np.column_stack([np.ones(8), SMALL, np.zeros(8)])
    assert chosen(values, 3) == [1, 2, 5]
    assert chosen(values, 5) == [1, 2, 3, 4, 5]
    assert chosen(values, 6) == [0, 1, 2, 3, 4, 5]
    assert chosen(np.ones((8, 3)), 2) == [0, 1]


def test_a_column_unrelated_to_all_is_not_the_best() -> None:
    # No difference between the labels and no correlation with the first choice: 0 / 0.
    unrelated = np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0])
    first = np.array([0.0, 0.0, 0.1, 0.1, 1.0, 1.0, 1.1, 1.1]) - 0.55
    third = np.array([0.0, 1.0, 0.0, 2.0, 2.0, 1.0, 3.0, 2.0])
    assert chosen(np.column_stack([unrelated, first, third]), 2) == [1, 2]


def test_a_column_that_is_the_label_is_the_first() -> None:
    values = np.column_stack([SMALL, LABELS, 1 - LABELS])
    assert chosen(values, 1) == [5]
    assert chosen(values, 3)[-2:] == [5, 6]


def test_the_seed_draws_nothing_and_units_do_not_matter() -> None:
    first, *others = (of_mrmr(SMALL, LABELS, n_features=3, seed=seed).tolist() for seed in (0, 1, 2))
    assert all(other == first for other in others)
    assert chosen(SMALL * [1.0, 1e3, 1e-3, 10.0, 0.1] + 5, 3) == first
