import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fusion.classical.filters.univariate import Correction, Test, p_values, that_differ

# Two labels, 7 and 6 patients: a column with ties between the labels, a yes/no column, one without ties.
NEGATIVE = np.array([[1.2, 3.4, 2.2, 5.1, 4.4, 2.2, 3.4], [0, 0, 1, 0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]]).T
POSITIVE = np.array([[2.2, 6.0, 5.1, 7.3, 8.1, 6.0], [1, 0, 1, 1, 1, 0], [0.5, 0.7, 0.9, 1.1, 1.3, 2.0]]).T
VALUES = np.concatenate([NEGATIVE, POSITIVE])
LABELS = np.repeat([0.0, 1.0], [7, 6])


@pytest.fixture
def drawn() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    labels = (rng.random(40) < 0.3).astype(np.float64)
    values = rng.standard_normal((40, 30)) + 0.5 * labels[:, None]
    values[:, :10] = values[:, :10].round()
    values[:, 7] = 1.25
    return values, labels


def test_mann_whitney_is_that_of_r() -> None:
    # R: wilcox.test(b, a, exact = FALSE)$p.value, b the positive and a the negative patients of a column
    assert p_values(VALUES, LABELS, test="mann_whitney") == pytest.approx(
        [0.030482500039, 0.0759269629826, 0.0383187631494], rel=1e-9
    )


def test_a_column_has_one_p_value_whatever_stands_beside_it() -> None:
    # Alone it has no ties and few patients: scipy would take the exact test, p = .035.
    alone = p_values(VALUES[:, 2:], LABELS, test="mann_whitney")
    assert alone == pytest.approx([0.0383187631494], rel=1e-9)


def test_welch_is_that_of_r() -> None:
    # R: t.test(b, a)$p.value
    assert p_values(VALUES, LABELS, test="t_test") == pytest.approx(
        [0.0257048375965, 0.0696430204318, 0.043306186372], rel=1e-9
    )


def test_columns_together_are_those_alone(drawn: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    values, labels = drawn
    found = {test: p_values(values, labels, test=test) for test in ("mann_whitney", "t_test")}
    assert found["mann_whitney"][7] == found["t_test"][7] == 1.0
    for column in (*range(7), *range(8, 30)):
        pair = values[labels == 1, column], values[labels == 0, column]
        expected = stats.mannwhitneyu(*pair, method="asymptotic").pvalue
        assert found["mann_whitney"][column] == pytest.approx(expected, rel=1e-12)
        assert found["t_test"][column] == pytest.approx(stats.ttest_ind(*pair, equal_var=False).pvalue, rel=1e-9)


@pytest.mark.parametrize("test", ["mann_whitney", "t_test"])
def test_shifting_and_turning_a_column_changes_nothing(test: Test) -> None:
    assert p_values(100 - VALUES, LABELS, test=test) == pytest.approx(p_values(VALUES, LABELS, test=test), rel=1e-9)


def test_a_column_that_is_the_label() -> None:
    assert p_values(LABELS[:, None], LABELS, test="t_test").tolist() == [0.0]
    # R: wilcox.test(rep(1, 6), rep(0, 7), exact = FALSE)$p.value
    assert p_values(LABELS[:, None], LABELS, test="mann_whitney") == pytest.approx([0.000720589631972], rel=1e-9)


@pytest.mark.parametrize(
    ("correction", "kept"),
    # Raw p values .0305, .0759, .0383 and 1. Holm: .122, .152, .122, 1. Benjamini and Hochberg: .0766, .1012, .0766, 1.
    [("none", [0, 2]), ("holm", []), ("fdr_bh", [])],
)
def test_corrections_at_the_usual_level(correction: Correction, kept: list[int]) -> None:
    values = np.column_stack([VALUES, np.ones(13)])
    assert that_differ(values, LABELS, test="mann_whitney", max_p=0.05, correction=correction).tolist() == kept


def test_corrections_count_the_constant_column() -> None:
    # R: p.adjust(c(0.0305, 0.0759, 0.0383, 1), "holm") and "BH": without the fourth it were .0915 and .0575.
    values = np.column_stack([VALUES, np.ones(13)])
    expected: list[tuple[Correction, float, list[int]]] = [
        ("holm", 0.1219, []),
        ("holm", 0.1220, [0, 2]),
        ("fdr_bh", 0.0766, []),
        ("fdr_bh", 0.0767, [0, 2]),
        ("fdr_bh", 0.1013, [0, 1, 2]),
    ]
    for correction, max_p, kept in expected:
        found = that_differ(values, LABELS, test="mann_whitney", max_p=max_p, correction=correction)
        assert found.tolist() == kept, (correction, max_p)


@pytest.mark.parametrize(("test", "correction"), [("mann_whitney", "none"), ("t_test", "fdr_bh")])
def test_nothing_to_test(test: Test, correction: Correction) -> None:
    for values in (np.empty((13, 0)), np.ones((13, 2))):
        assert that_differ(values, LABELS, test=test, max_p=1.0, correction=correction).tolist() == []
