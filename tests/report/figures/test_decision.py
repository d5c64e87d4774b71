import numpy as np
import pytest

from fusion.report.figures.decision import draw_decision


@pytest.fixture
def table(fake):
    return [
        {
            "threshold": t,
            "model": fake.estimate(None if t == 0.2 else 0.3 - t, 9),
            "treat_all": fake.estimate(0.3 - 5 * t, 9),
        }
        for t in (0.1, 0.2, 0.3)
    ]


def test_lines_are_those_of_the_table_with_a_gap_where_undefined(table):
    axes = draw_decision(table).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(lines["model"], [0.2, np.nan, 0.0])
    np.testing.assert_allclose(lines["treat all"], [-0.2, -0.7, -1.2])
    assert set(lines["treat none"]) == {0}


def test_the_axis_is_not_spent_on_treating_everybody(table):
    low, high = draw_decision(table).axes[0].get_ylim()
    assert (low, high) == pytest.approx((-0.05, 0.24))


def test_a_model_without_any_benefit_still_has_an_axis(fake):
    worthless = [
        {"threshold": t, "model": fake.estimate(0.0, 9), "treat_all": fake.estimate(-1.0, 9)} for t in (0.1, 0.2)
    ]
    low, high = draw_decision(worthless).axes[0].get_ylim()
    assert low < 0 < high
