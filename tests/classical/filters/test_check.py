from typing import Any

import numpy as np
import pytest

from fusion.classical.filters import apply_filters, check_filters
from fusion.errors import InputError

RIGHT: list[dict[str, Any]] = [
    {"name": "variance", "min_variance": 0.0},
    {"name": "mann_whitney", "max_p": 1, "correction": "none"},
    {"name": "t_test", "max_p": 1.0, "correction": "fdr_bh"},
    {"name": "spearman", "max_correlation": 0.9, "order": "table"},
    {"name": "pearson", "max_correlation": 1, "order": "p_value"},
    {"name": "mrmr", "n_features": 1},
]


def complaints(*filters: Any) -> dict[str, str]:
    with pytest.raises(InputError) as caught:
        check_filters(filters)
    return {problem.where: problem.came for problem in caught.value.problems}


def test_what_passes_can_be_applied() -> None:
    check_filters([])
    check_filters(RIGHT)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 4)), (np.arange(12) % 2).astype(np.float64)
    for one in RIGHT:
        apply_filters(X, y, filters=[one], patients=np.arange(12), seed=0)


def test_all_problems_come_at_once_and_say_where() -> None:
    came = complaints(
        RIGHT[0],
        {"name": "mann_whitney", "max_p": 0, "correction": "bonferroni"},
        {"name": "median", "max_p": 7},
        {"name": "spearman", "max_corelation": 0.9, "order": "table"},
        "mrmr",
        {"max_p": 0.05},
    )
    assert came == {
        "selection.filters[1].max_p": "0",
        "selection.filters[1].correction": "'bonferroni'",
        "selection.filters[2].name": "'median'",
        "selection.filters[3].max_correlation": "nothing",
        "selection.filters[3].max_corelation": "'max_corelation'",
        "selection.filters[4]": "'mrmr'",
        "selection.filters[5].name": "nothing",
    }


@pytest.mark.parametrize(
    ("at", "key", "value"),
    [
        (0, "min_variance", -0.1),
        (0, "min_variance", float("inf")),
        (1, "max_p", 1.01),
        (1, "max_p", float("nan")),
        (1, "max_p", "5e-2"),
        (1, "max_p", None),
        (1, "correction", None),
        (2, "max_p", True),
        (3, "max_correlation", 0),
        (3, "max_correlation", 90),
        (4, "order", ["table"]),
        (5, "n_features", 0),
        (5, "n_features", 20.0),
        (5, "n_features", True),
        (5, "name", ["mrmr"]),
    ],
)
def test_values_out_of_range(at: int, key: str, value: Any) -> None:
    assert complaints({**RIGHT[at], key: value}) == {f"selection.filters[0].{key}": repr(value)}


def test_every_key_is_required() -> None:
    assert len(complaints(*({"name": one["name"]} for one in RIGHT))) == sum(len(one) - 1 for one in RIGHT)


@pytest.mark.parametrize("filters", [None, "mrmr", RIGHT[0]])
def test_filters_are_a_list(filters: Any) -> None:
    with pytest.raises(InputError, match=r"selection\.filters: required a list"):
        check_filters(filters)
