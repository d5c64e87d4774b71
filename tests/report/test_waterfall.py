import pytest

from fusion.report.waterfall import waterfall


def of(values: dict[str, float], *, output: float = 0.7, names: dict[str, str] | None = None):
    ends = {"start": "start", "end": "end", "unit": "probability", "n_tests": 1}
    return waterfall(values, output=output, names=names or {}, **ends).steps


def test_each_bar_begins_where_the_one_before_ended() -> None:
    start, strongest, against, weakest, end = of({"weak": 0.05, "strong": 0.4, "against": -0.15})
    assert [bar.name for bar in (start, strongest, against, weakest, end)] == [
        *("start", "strong", "against", "weak", "end")
    ]
    assert start.value == pytest.approx(0.7 - 0.3)
    assert end.value == 0.7
    # From 0.4 (left) over 0.8 (right) and 0.65 to 0.7.
    assert (start.left, strongest.left, strongest.width) == pytest.approx((0, 0, 100))
    assert (against.left, against.width) == pytest.approx((62.5, 37.5))
    assert (weakest.left, weakest.width, end.left) == pytest.approx((62.5, 12.5, 75))
    assert [bar.kind for bar in (start, strongest, against, end)] == ["total", "for", "against", "total"]


def test_the_weaker_ones_are_one_step_together() -> None:
    steps = of({f"input {k}": 0.01 * (k + 1) for k in range(11)})
    assert len(steps) == 11
    assert steps[1].name == "input 10"
    assert steps[-2].name == "3 others together"
    assert steps[-2].value == pytest.approx(0.01 + 0.02 + 0.03)
    assert steps[-1].left == pytest.approx(100)


def test_a_name_for_people_keeps_that_of_the_tables_beside_it() -> None:
    _, step, other, _ = of({"a_b": 0.2, "age": 0.1}, names={"a_b": "b of a"})
    assert (step.name, step.code) == ("b of a", "a_b")
    assert (other.name, other.code) == ("age", "")


def test_where_nothing_moved_anything_there_is_no_bar() -> None:
    assert [(step.left, step.width) for step in of({"age": 0.0})] == [(0, 0)] * 3
