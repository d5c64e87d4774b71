from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from fusion.report.figures.parallel_coordinates import axis_of, plan_parallel_coordinates

SCORES = np.array([0.9, 0.8, 0.7, 0.6])


def runs(n: int, **values: list[str]) -> list[dict[str, Any]]:
    return [
        {"values": {key: texts[i] for key, texts in values.items()}, "inner": {"auc": 0.9 - i / 20}} for i in range(n)
    ]


def test_words_and_few_numbers_are_steps_in_their_order_fanned_by_score() -> None:
    axis = axis_of(["1e-3", "0", "1e-3", "1e-4"], SCORES)
    assert [text for _, text in axis.ticks] == ["0", "1e-4", "1e-3"]
    at_last = axis.places[[0, 2]]
    assert 2 / 3 < at_last[1] < at_last[0] < 1
    assert [text for _, text in axis_of(["b", "a", "b", "c"], SCORES).ticks] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("numbers", "middle"),
    [(np.linspace(0.001, 0.6, 11), 0.3005), (np.logspace(-5, -1, 11), 1e-3)],
    ids=["plain", "log"],
)
def test_many_numbers_are_on_the_scale_that_spreads_them(numbers: Any, middle: float) -> None:
    axis = axis_of([str(number) for number in numbers], np.linspace(0.9, 0.5, 11))
    assert numbers[5] == pytest.approx(middle)
    np.testing.assert_allclose(axis.places, np.linspace(0, 1, 11), atol=1e-9)
    assert all(0 <= place <= 1 for place, _ in axis.ticks)
    assert len(axis.ticks) > 1


def test_a_run_is_a_line_from_its_values_to_its_score_and_the_chosen_one_is_thick() -> None:
    plan = plan_parallel_coordinates(runs(4, l1=["0", "1", "0", "1"], head=["a", "a", "b", "b"]), ["l1", "head"])
    assert isinstance(plan.figure, Figure)
    (axes,) = plan.figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [line.get_ydata()[-1] for line in lines] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert [line.get_linewidth() for line in lines] == [1, 1, 1, 2.4]
    assert len({line.get_color() for line in lines}) == 4
    texts = [text.get_text() for text in axes.texts]
    assert {"0", "1", "a", "b", "0.750", "0.900"} <= set(texts)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["l1", "head", "inner AUC"]


def test_equal_scores_are_drawn_in_the_middle() -> None:
    equal = [run | {"inner": {"auc": 0.5}} for run in runs(2, l1=["0", "1"])]
    plan = plan_parallel_coordinates(equal, ["l1"])
    assert isinstance(plan.figure, Figure)
    lines = [line for line in plan.figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_ydata()[-1] == 0.5]
    assert len(lines) >= 2


def test_it_says_why_it_is_not_drawn() -> None:
    assert "two ranked runs" in str(plan_parallel_coordinates(runs(1, l1=["0"]), ["l1"]).figure)
    keys = {f"key {i}": ["0", "1"] for i in range(10)}
    assert "10 values are too many" in str(plan_parallel_coordinates(runs(2, **keys), list(keys)).figure)
