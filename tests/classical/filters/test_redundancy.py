from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.classical.filters.redundancy import Correlation, Order, not_redundant
from fusion.records import Case, FeatureTable
from fusion.tabular.radiomics import RadiomicsScaler

# Ranks of 8 patients, the first 4 negative. Spearman by 1 - (sum of squared differences) / 84:
# a-b 16 (.81), b-c 18 (.79), a-c 42 (.50), and d at most 50 (.40) with any.
A, B, C, D = [1, 2, 5, 6, 3, 4, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8], [3, 2, 1, 5, 4, 8, 7, 6], [2, 8, 1, 6, 3, 7, 4, 5]
LABELS = np.repeat([0.0, 1.0], 4)


def left(values: Any, *, labels: Any = LABELS, max_correlation: float = 0.75, **how: Any) -> list[int]:
    defaults: dict[str, Any] = {"correlation": "spearman", "order": "table"}
    found = not_redundant(
        np.asarray(values, dtype=np.float64), labels, max_correlation=max_correlation, **{**defaults, **how}
    )
    return [int(i) for i in found]


@pytest.fixture
def drawn() -> NDArray[np.float64]:
    """60 patients, 80 columns in families, some with ties."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal((60, 12)) @ (rng.standard_normal((12, 80)) * (rng.random((12, 80)) < 0.12))
    values += 0.15 * rng.standard_normal((60, 80))
    values[:, ::5] = values[:, ::5].round(1)
    return values


def test_from_the_left_the_first_of_a_pair_stays() -> None:
    # a stays and takes b out; c was close to b only.
    assert left(np.transpose([A, D, B, C])) == [0, 1, 3]
    assert left(np.transpose([B, D, A, C])) == [0, 1]


def test_by_p_value_the_one_that_differs_most_stays() -> None:
    # b separates the labels (U = 16), c but for a pair (15), a less (12): b stays and takes out both.
    assert left(np.transpose([A, D, B, C]), order="p_value") == [1, 2]
    # Of equal p values the first: the third column is b upside down.
    assert left(np.transpose([A, B, np.negative(B)]), order="p_value") == [1]


def test_the_bound_itself_is_allowed_and_the_sign_does_not_count() -> None:
    assert left(np.transpose([B, np.negative(B)]), max_correlation=1.0) == [0, 1]
    assert left(np.transpose([B, np.negative(B)]), max_correlation=0.99) == [0]


def test_pearson_is_of_values_and_spearman_of_ranks() -> None:
    values = np.transpose([B, np.exp(B)])  # Pearson .776
    assert left(values, max_correlation=0.8) == [0]
    assert left(values, correlation="pearson", max_correlation=0.8) == [0, 1]
    assert left(values, correlation="pearson", max_correlation=0.77) == [0]


@pytest.mark.parametrize("max_correlation", [0.5, 0.8, 0.9])
def test_spearman_by_table_is_what_the_network_drops(drawn: NDArray[np.float64], max_correlation: float) -> None:
    names = tuple(map(str, range(80)))
    table = FeatureTable(case_ids=tuple(map(str, range(60))), names=names, values=drawn)
    cases = [
        Case(case_id=one, patient_id=one, center="A", image=None, mask=None, label=None, clinical={})
        for one in table.case_ids
    ]
    scaler = RadiomicsScaler.fit(
        table,
        cases,
        stable=None,
        columns=(),
        harmonization={"name": "none"},
        max_correlation=max_correlation,
        clip=5.0,
    )
    found = left(drawn, labels=np.zeros(60), max_correlation=max_correlation)
    assert [names[i] for i in found] == list(scaler.names)
    assert 10 < len(found) < 75


@pytest.mark.parametrize("correlation", ["spearman", "pearson"])
@pytest.mark.parametrize("order", ["table", "p_value"])
def test_kept_ones_are_apart_and_dropped_ones_close_to_one_kept(
    drawn: NDArray[np.float64], correlation: Correlation, order: Order
) -> None:
    from scipy.stats import rankdata

    labels = (np.arange(60) % 3 == 0).astype(np.float64)
    found = left(drawn, labels=labels, max_correlation=0.7, correlation=correlation, order=order)
    r = np.abs(np.corrcoef(rankdata(drawn, axis=0) if correlation == "spearman" else drawn, rowvar=False))
    dropped = [i for i in range(80) if i not in found]
    assert dropped
    assert found == sorted(found)
    assert (r[np.ix_(found, found)] - np.eye(len(found))).max() <= 0.7
    assert (r[np.ix_(dropped, found)].max(axis=1) > 0.7).all()


@pytest.mark.parametrize("order", ["table", "p_value"])
@pytest.mark.parametrize("correlation", ["spearman", "pearson"])
def test_constant_columns_are_close_to_none(correlation: Correlation, order: Order) -> None:
    how: dict[str, Any] = {"correlation": correlation, "order": order}
    assert left(np.transpose([[2.0] * 8, A, A, [2.0] * 8]), **how) == [0, 1, 3]
    assert left(np.ones((8, 2)), **how) == [0, 1]
    assert left(np.transpose([A]), **how) == [0]
    assert left(np.empty((8, 0)), **how) == []
