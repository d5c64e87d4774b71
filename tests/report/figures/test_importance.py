from matplotlib.figure import Figure

from fusion.report.figures.importance import plan_importance


def test_a_bar_stands_for_each_value() -> None:
    plan = plan_importance({"n_runs": 12, "shares": {"l1": 0.62, "head": 0.08}})
    assert isinstance(plan.figure, Figure)
    texts = [text.get_text() for text in plan.figure.axes[0].texts]
    assert texts == ["l1", "62\N{NO-BREAK SPACE}%", "head", "8\N{NO-BREAK SPACE}%"]
    assert "12 ranked runs" in plan.caption


def test_it_says_why_there_is_none() -> None:
    assert plan_importance({"absent": "Too few runs."}).figure == "Too few runs."
