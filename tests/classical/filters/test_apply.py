import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.classical.filters import apply_filters
from fusion.errors import FusionError

MANN_WHITNEY = {"name": "mann_whitney", "max_p": 0.05, "correction": "none"}
T_TEST = {"name": "t_test", "max_p": 0.05, "correction": "none"}
SPEARMAN = {"name": "spearman", "max_correlation": 0.75, "order": "table"}
MRMR = {"name": "mrmr", "n_features": 3}
VARIANCE = {"name": "variance", "min_variance": 0.0}
EVERY: list[dict[str, Any]] = [
    VARIANCE,
    MANN_WHITNEY,
    T_TEST,
    SPEARMAN,
    {**SPEARMAN, "order": "p_value"},
    {**SPEARMAN, "name": "pearson"},
    MRMR,
]


def kept(X: Any, y: Any, *filters: dict[str, Any], patients: Any = None) -> list[int]:
    patients = np.arange(len(y)) if patients is None else np.asarray(patients)
    found = apply_filters(
        np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64), filters=filters, patients=patients, seed=0
    )
    assert found.dtype == np.intp
    return [int(i) for i in found]


@pytest.fixture
def drawn() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(5)
    y = (np.arange(40) % 3 == 0).astype(np.float64)
    X = rng.standard_normal((40, 5)) @ rng.standard_normal((5, 30)) + rng.standard_normal((40, 30))
    return X + 1.5 * y[:, None] * rng.random(30), y


def test_positions_are_those_of_the_table_after_every_filter() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2.0
    telling = y + 0.3 * rng.standard_normal(30)
    other = y + 0.9 * rng.standard_normal(30)
    X = np.column_stack([np.ones(30), rng.permutation(30), telling, telling + 1, np.zeros(30), other])
    assert kept(X, y) == [0, 1, 2, 3, 4, 5]
    assert kept(X, y, VARIANCE) == [1, 2, 3, 5]
    assert kept(X, y, VARIANCE, MANN_WHITNEY) == [2, 3, 5]
    assert kept(X, y, VARIANCE, MANN_WHITNEY, SPEARMAN) == [2, 5]
    assert kept(X, y, VARIANCE, MANN_WHITNEY, SPEARMAN, {**MRMR, "n_features": 1}) == [2]


def test_the_order_of_the_filters_counts() -> None:
    # The second column tells the labels (p = .03), the first does not (p = .31) and is close to it (.81).
    X, y = np.transpose([[1, 2, 5, 6, 3, 4, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8]]), [0, 0, 0, 0, 1, 1, 1, 1]
    assert kept(X, y, MANN_WHITNEY, SPEARMAN) == [1]
    assert kept(X, y, SPEARMAN, MANN_WHITNEY) == []


def test_more_images_of_the_same_patients_are_no_more_evidence() -> None:
    # R: wilcox.test(c(2, 6, 8, 9, 10), c(1, 3, 4, 5, 7), exact = FALSE)$p.value is .144, each twice .025;
    # t.test .126 and .019.
    X, y = np.array([[1, 3, 4, 5, 7, 2, 6, 8, 9, 10]]).T, np.repeat([0.0, 1.0], 5)
    twice = np.repeat(np.arange(10), 2)
    for test in (MANN_WHITNEY, T_TEST):
        assert kept(X[twice], y[twice], test) == [0]
        assert kept(X[twice], y[twice], test, patients=twice) == []
        assert kept(X, y, test) == []


@pytest.mark.parametrize("one", EVERY, ids=lambda one: f"{one['name']} {one.get('order', '')}")
def test_means_of_patients_are_what_is_seen(
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]], one: dict[str, Any]
) -> None:
    X, y = drawn
    rng = np.random.default_rng(1)
    apart = 5 * rng.standard_normal(X.shape)
    # Two images of every patient, on either side of the mean, in any order, of patients numbered with gaps.
    images, shuffled = np.concatenate([X - apart, X + apart]), rng.permutation(80)
    patients = np.tile(3 * np.arange(40) + 2, 2)
    expected = kept(X, y, one)
    assert kept(images[shuffled], np.tile(y, 2)[shuffled], one, patients=patients[shuffled]) == expected
    assert len(expected) > 1


def test_no_columns_and_none_left(drawn: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    X, y = drawn
    assert kept(X[:, :0], y, *EVERY) == []
    strict = {"name": "mann_whitney", "max_p": 1e-12, "correction": "holm"}
    assert kept(X, y, strict) == []
    assert kept(X, y, strict, *EVERY, *EVERY) == []
    assert kept(np.ones((40, 3)), y, *EVERY[1:]) == []


def test_again_the_same(drawn: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    assert kept(*drawn, VARIANCE, MRMR, SPEARMAN) == kept(*drawn, VARIANCE, MRMR, SPEARMAN)
    before = pickle.dumps((drawn, EVERY))
    kept(*drawn, *EVERY)
    assert pickle.dumps((drawn, EVERY)) == before


@pytest.mark.parametrize("one", [MANN_WHITNEY, T_TEST, MRMR, {**SPEARMAN, "order": "p_value"}])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_label_alone_is_refused(one: dict[str, Any], label: float) -> None:
    X = np.random.default_rng(0).standard_normal((6, 4))
    with pytest.raises(FusionError, match=rf"selection\.filters\[1\]: {one['name']} .* came {6 * int(label)} positive"):
        kept(X, np.full(6, label), VARIANCE, one)
    assert kept(X, np.full(6, label), VARIANCE, {**SPEARMAN, "max_correlation": 1.0}) == [0, 1, 2, 3]


def test_a_variance_within_each_label_needs_two_patients() -> None:
    X, y = np.random.default_rng(0).standard_normal((6, 4)), np.array([0, 0, 0, 0, 1, 1])
    patients = np.array([0, 1, 2, 3, 4, 4])
    for one in (T_TEST, MRMR):
        with pytest.raises(FusionError, match="at least 2 training patients of each, came 1 positive of 5"):
            kept(X, y, one, patients=patients)
        kept(X, y, one)
    kept(X, y, MANN_WHITNEY, patients=patients)


def test_an_unknown_filter_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="'median'"):
        kept(np.ones((4, 2)), [0, 0, 1, 1], {"name": "median"})


def test_importing_costs_nothing() -> None:
    code = (
        "import sys, fusion.classical.filters; "
        "print([name for name in ('pandas', 'scipy', 'sklearn', 'torch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
