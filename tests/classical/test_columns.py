from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.classical.blocks import RadiomicsBlock
from fusion.classical.columns import Columns, Features, Score, columns_from_state
from fusion.classical.fit import Fitting
from fusion.classical.lasso import Lasso
from fusion.classical.rows import Sources
from fusion.classical.selected import Selected
from fusion.records import Case
from fusion.tabular.radiomics import RadiomicsScaler

ROWS = np.array([[1.0, 2.0, 3.0], [np.nan] * 3, [0.0, -1.0, 5.0]])
LASSO = Lasso(
    means=np.array([1.0, 0.0, 0.0]),
    scales=np.array([2.0, 1.0, 5.0]),
    coefficients=np.array([4.0, 0.0, -1.0]),
    intercept=0.5,
    rule="min",
    path=None,
)


class Fixed:
    """A block whose rows are given; the second case has nothing of it."""

    names = ("a", "b", "c")
    n_candidates = 3

    def transform(self, cases: Sequence[Case], sources: Sources) -> NDArray[np.float64]:
        return ROWS

    def state(self) -> dict[str, Any]:
        return {}


def applied(columns: Columns) -> NDArray[np.float64]:
    return columns.transform((), Any)  # type: ignore[arg-type]  # The rows are given.


def test_features_are_the_columns_of_the_block() -> None:
    features = Features(block=Fixed())
    assert features.names == ("a", "b", "c")
    np.testing.assert_array_equal(applied(features), ROWS)


def test_a_score_is_the_linear_predictor_of_the_selected_columns() -> None:
    score = Score(name="x score", block=Fixed(), selected=Selected(lasso=LASSO))
    assert score.names == ("x score",)
    # 0.5 + 4 (1 - 1) / 2 - 3 / 5 and 0.5 + 4 (0 - 1) / 2 - 5 / 5; nothing of the second case is known.
    np.testing.assert_allclose(applied(score), [[-0.1], [np.nan], [-2.5]])


def test_a_score_that_no_column_is_left_for_is_the_intercept() -> None:
    nothing = replace(LASSO, coefficients=np.zeros(3), intercept=0.25)
    score = Score(name="x score", block=Fixed(), selected=Selected(lasso=nothing))
    np.testing.assert_allclose(applied(score), [[0.25], [np.nan], [0.25]])


@pytest.mark.parametrize("enters", ["features", "score"])
def test_columns_survive_their_state(data: Any, fitting: Callable[..., Fitting], enters: str) -> None:
    sources, table = fitting(data).sources, data.features
    three = replace(table, names=table.names[:3], values=table.values[:, :3])
    scaler = RadiomicsScaler.fit(
        three,
        data.cases("train"),
        stable=None,
        columns=(),
        harmonization={"name": "none"},
        max_correlation=1.0,
        clip=5.0,
    )
    block = RadiomicsBlock(scaler)
    score = Score(name="radiomics score", block=block, selected=Selected(lasso=LASSO))
    columns: Columns = score if enters == "score" else Features(block=block)
    state: Mapping[str, Any] = columns.state()
    again = columns_from_state("radiomics", state)
    assert type(again) is type(columns)
    assert again.names == columns.names
    rows = [each.transform(data.cohort.cases, sources) for each in (columns, again)]
    np.testing.assert_array_equal(rows[1], rows[0])
    assert again.state() == state
