import csv
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.explanation.given_values import Given
from fusion.explanation.shap_values import ShapTable, explain_inputs, write_inputs

Floats = np.ndarray
# Of the reference values below.
BACKGROUND = np.array([[0.0, 0, 0], [1, -1, 0.5], [-0.5, 2, 1], [0.3, 0.1, -1.2]])
ROWS = np.array([[1.0, 2, -1], [-0.7, 0.4, 1.5]])


class Stage:
    """A final stage that is a formula."""

    def __init__(self, formula: Callable[[Floats], Floats], linear: tuple[Floats, float] | None = None) -> None:
        self._formula, self.linear, self.n_rows = formula, linear, 0

    def probabilities(self, X: Floats) -> Floats:
        self.n_rows += len(X)
        return np.asarray(self._formula(X))


def curved(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(x[:, 0] * x[:, 1] - x[:, 2] ** 2 + 0.5 * x[:, 0] * x[:, 1] * x[:, 2]))))


def line(coefficients: Floats, intercept: float) -> Stage:
    return Stage(lambda x: 1 / (1 + np.exp(-(x @ coefficients + intercept))), (coefficients, intercept))


def explain(stage: Stage, background: Floats, rows: Floats, **settings: Any) -> ShapTable:
    n_rows, n_inputs = rows.shape
    return explain_inputs(
        stage,
        names=[f"input {i}" for i in range(n_inputs)],
        owners=np.arange(n_inputs),
        background=background,
        rows=rows,
        case_ids=[f"case {i}" for i in range(n_rows)],
        **({"n_background": 50, "max_evaluations": 1024, "n_cases": 5, "seed": 0} | settings),
    )


def draw(*shape: int) -> Floats:
    return np.random.default_rng(1).normal(size=shape)


def test_of_a_linear_stage_by_hand() -> None:
    # Background means 1 and 10; values 2 (3 - 1) and -0.5 (12 - 10).
    stage = line(np.array([2.0, -0.5]), 0.1)
    table = explain(stage, np.array([[0.0, 8], [2, 12]]), np.array([[3.0, 12], [1, 10]]))
    assert table.values.tolist() == [[4.0, -1.0], [0.0, 0.0]]
    assert (table.unit, table.method) == ("logit", "linear")
    assert not table.standard_error.any()
    assert (table.case_ids, table.names) == (("case 0", "case 1"), ("input 0", "input 1"))
    assert table.completeness_error == pytest.approx([0, 0], abs=1e-12)


def test_of_a_linear_stage_as_the_shap_package() -> None:
    # shap 0.51: LinearExplainer((w, 0.25), maskers.Independent(BACKGROUND))(ROWS).values
    table = explain(line(np.array([0.5, -2.0, 3.0]), 0.25), BACKGROUND, ROWS)
    assert table.values == pytest.approx(np.array([[0.4, -3.45, -3.225], [-0.45, -0.25, 4.275]]))


def test_an_intercept_that_is_not_the_models_is_seen_and_a_probability_of_1_is_not_an_error() -> None:
    stage = line(np.array([2.0]), 0.0)
    assert explain(stage, np.zeros((1, 1)), np.array([[0.5], [1000.0]])).completeness_error.max() < 1e-9
    stage.linear = (np.array([2.0]), 0.75)
    assert explain(stage, np.zeros((1, 1)), np.array([[0.5]])).completeness_error == pytest.approx([0.75])


def test_of_a_curved_stage_as_the_shap_package() -> None:
    # shap 0.51: ExactExplainer(curved, maskers.Independent(BACKGROUND))(ROWS).values
    table = explain(Stage(curved), BACKGROUND, ROWS)
    expected = [
        [0.1948498529446187, 0.19533393097613827, -0.1281073345492999],
        [0.014050812831828907, 0.02588217405434426, -0.21720263419906383],
    ]
    assert table.values == pytest.approx(np.array(expected), abs=1e-12)
    assert (table.unit, table.method) == ("probability", "coalitions")
    assert not table.standard_error.any()
    assert table.completeness_error.max() < 1e-12


def test_of_a_curved_stage_as_the_mean_over_all_orders() -> None:
    def mean_output(known: tuple[int, ...]) -> float:
        mixed = BACKGROUND.copy()
        mixed[:, known] = ROWS[0, known]
        return float(curved(mixed).mean())

    orders = list(itertools.permutations(range(3)))
    expected = np.zeros(3)
    for order in orders:
        for step, place in enumerate(order):
            expected[place] += (mean_output(order[: step + 1]) - mean_output(order[:step])) / len(orders)
    assert explain(Stage(curved), BACKGROUND, ROWS[:1]).values[0] == pytest.approx(expected, abs=1e-12)


def test_permutations_are_exact_where_no_three_inputs_interact() -> None:
    stage = Stage(lambda x: 0.5 + 0.01 * (x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] - x[:, 4] ** 2))
    background, rows = draw(20, 5), draw(3, 5)
    exact = explain(stage, background, rows)
    sampled = explain(stage, background, rows, max_evaluations=1)
    assert sampled.values == pytest.approx(exact.values, abs=1e-12)


def test_permutations_come_close_where_three_interact() -> None:
    background, rows = draw(20, 3), draw(4, 3)
    exact = explain(Stage(curved), background, rows).values
    sampled = explain(Stage(curved), background, rows, max_evaluations=7)
    assert 1e-6 < np.abs(sampled.values - exact).max() < 0.1
    assert sampled.completeness_error.max() < 1e-12


def test_the_standard_error_of_sampled_values_is_how_far_they_are_from_the_exact_ones() -> None:
    def formula(x: Floats) -> Floats:
        return curved(x[:, :3] + x[:, 3:6])

    background, rows = draw(8, 8), draw(12, 8)
    exact = explain(Stage(formula), background, rows).values[:, :6]
    distances = []
    for seed in range(8):
        table = explain(Stage(formula), background, rows, max_evaluations=14 * 18, n_cases=12, seed=seed)
        assert table.method == "permutations"
        distances.append(np.abs(table.values[:, :6] - exact) / table.standard_error[:, :6])
        assert not table.standard_error[:, 6:].any()
    # Half of a t distribution with 13 degrees of freedom lies within 0.694.
    assert np.median(distances) == pytest.approx(0.694, abs=0.12)


def test_the_error_of_one_permutation_is_not_known() -> None:
    table = explain(Stage(curved), draw(8, 3), draw(4, 3), max_evaluations=7)
    assert np.isnan(table.standard_error).all()


def test_an_input_that_is_not_used_has_the_value_0_however_many_there_are() -> None:
    def formula(x: Floats) -> Floats:
        return curved(x[:, [0, 2, 3]])

    for settings in ({}, {"max_evaluations": 10}):
        table = explain(Stage(formula), draw(20, 12), draw(3, 12), **settings)
        assert np.all(table.values[:, [1, *range(4, 12)]] == 0)
        assert np.all(table.values[:, [0, 2, 3]] != 0)
        assert table.completeness_error.max() < 1e-12


def test_the_same_call_gives_the_same_values() -> None:
    background, rows = draw(30, 12), draw(4, 12)

    def values(seed: int) -> Floats:
        stage = Stage(lambda x: curved(x[:, :3] * x[:, 3:6]))
        return explain(stage, background, rows, max_evaluations=26, seed=seed).values

    assert np.array_equal(values(0), values(0))
    assert not np.array_equal(values(0), values(1))


def test_the_background_is_a_sample_with_the_mean_output_of_all() -> None:
    background = np.arange(100.0)[:, None] / 100
    stage = Stage(lambda x: x[:, 0])
    (value,) = explain(stage, background[::-1], np.array([[1.0]]), n_background=10).values[0]
    assert value == pytest.approx(1 - background.mean(), abs=0.006)
    # The row, the background, and the two mixtures of the row with 10 of them.
    assert stage.n_rows == 1 + 100 + 2 * 10


def test_permutations_explain_some_rows_spread_over_the_outputs() -> None:
    stage = Stage(lambda x: 1 / (1 + np.exp(-x.sum(1))))
    rows = draw(40, 6)
    assert len(explain(stage, draw(9, 6), rows).case_ids) == 40
    table = explain(stage, draw(9, 6), rows, max_evaluations=14, n_cases=4)
    order = np.argsort(np.argsort(rows.sum(1)))
    places = [int(case_id.removeprefix("case ")) for case_id in table.case_ids]
    assert places == sorted(places)
    assert sorted(order[places]) == [5, 15, 25, 35]
    assert table.completeness_error.max() < 1e-12


def test_the_order_of_evaluation_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = explain(Stage(curved), draw(7, 3), draw(5, 3)).values
    monkeypatch.setattr("fusion.explanation.shap_values._CHUNK_ELEMENTS", 60)
    assert np.array_equal(explain(Stage(curved), draw(7, 3), draw(5, 3)).values, whole)


def test_a_stage_without_inputs() -> None:
    table = explain(Stage(lambda x: np.full(len(x), 0.3)), np.zeros((4, 0)), np.zeros((2, 0)))
    assert table.values.shape == (2, 0)
    assert table.completeness_error == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize(("background", "rows"), [((4, 3), (2, 2)), ((0, 2), (2, 2)), ((4, 2), (3, 2))])
def test_shapes_that_do_not_fit_are_refused(background: tuple[int, int], rows: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="required rows"):
        explain_inputs(
            Stage(lambda x: x[:, 0]),
            names=["a", "b"],
            owners=np.arange(2),
            background=np.zeros(background),
            rows=np.zeros(rows),
            case_ids=["1", "2"],
            n_background=5,
            max_evaluations=10,
            n_cases=5,
            seed=0,
        )


def test_the_table_of_a_fold(tmp_path: Path) -> None:
    table = ShapTable(
        case_ids=("007", "a,b"),
        names=("age", "edge"),
        values=np.array([[0.1, 0.0], [-math.pi, 2.0]]),
        completeness_error=np.array([0.0, 0.5]),
        unit="logit",
        method="permutations",
        standard_error=np.array([[0.25, 0.0], [math.nan, 2.5]]),
    )
    write_inputs(tmp_path / "fold_2" / "inputs.csv", table, 2)
    with (tmp_path / "fold_2" / "inputs.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    unit = ["completeness_error", "unit", "standard_error", "method"]
    assert header == ["case_id", "fold", "name", "value", *unit]
    assert rows == [
        ["007", "2", "age", "0.1", "0.0", "logit", "0.25", "permutations"],
        ["007", "2", "edge", "0.0", "0.0", "logit", "0.0", "permutations"],
        ["a,b", "2", "age", str(-math.pi), "0.5", "logit", "", "permutations"],
        ["a,b", "2", "edge", "2.0", "0.5", "logit", "2.5", "permutations"],
    ]


def test_what_the_cases_had_stands_beside_the_values(tmp_path: Path) -> None:
    table = ShapTable(
        case_ids=("1", "2"),
        names=("age", "deep score"),
        values=np.array([[0.1, 0.2], [np.nan, 0.4]]),
        completeness_error=np.zeros(2),
        unit="logit",
        method="linear",
        standard_error=np.zeros((2, 2)),
        given=Given(np.array([["54", ""], ["60", "-1.5"]]), ("table", "logit")),
    )
    write_inputs(tmp_path / "inputs.csv", table, 0)
    with (tmp_path / "inputs.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header[-3:] == ["method", "scale", "given"]
    assert [row[-2:] for row in rows] == [["table", "54"], ["logit", ""], ["logit", "-1.5"]]


def test_what_the_cases_had_is_of_the_same_cases_and_inputs() -> None:
    parts = {"case_ids": ("1",), "names": ("age",), "completeness_error": np.zeros(1), "unit": "logit"}
    values = {"values": np.zeros((1, 1)), "standard_error": np.zeros((1, 1)), "method": "linear"}
    for given in (Given(np.array([["54", "60"]]), ("table",)), Given(np.array([["54"]]), ())):
        with pytest.raises(ValueError, match="given values are"):
            ShapTable(**parts, **values, given=given)  # type: ignore[arg-type]
