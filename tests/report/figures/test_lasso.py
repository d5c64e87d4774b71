import numpy as np
import pandas as pd
import pytest

from fusion.report.figures.lasso import coefficient_paths, draw_lasso, plan_lasso
from fusion.report.run_folder import read_run

CURVE = pd.DataFrame(
    {
        "lambda": [0.4, 0.2, 0.1, 0.05],
        "deviance": [1.2, 1.0, 0.9, 1.1],
        "error": [0.1, 0.1, 0.2, 0.1],
        "n_nonzero": [0, 1, 2, 2],
        "chosen": ["", "1se", "min", ""],
        "used": [0, 1, 0, 0],
    }
)
PATH = pd.DataFrame(
    {"lambda": [0.2, 0.1, 0.1, 0.05, 0.05], "feature": ["a", "a", "b", "a", "b"],
     "coefficient": [0.3, 0.5, -0.2, 0.6, -0.4]}
)  # fmt: skip


def test_paths_are_0_where_the_table_has_no_row():
    paths = coefficient_paths(CURVE, PATH)
    assert paths["a"].tolist() == [0, 0.3, 0.5, 0.6]
    assert paths["b"].tolist() == [0, 0, -0.2, -0.4]
    assert coefficient_paths(CURVE, None).shape == (4, 0)


def test_the_lambda_in_use_is_solid_in_both_panels_and_the_other_dashed():
    figure = draw_lasso(CURVE, coefficient_paths(CURVE, PATH))
    left, right = figure.axes[:2]
    upright = {line.get_label(): line for line in left.lines if line.get_label().startswith("λ")}
    assert set(upright) == {"λ.min, least deviance", "λ.1se, within a standard error of it (in use)"}
    for line, penalty, style in zip(upright.values(), (0.2, 0.1), ("-", "--"), strict=True):
        assert line.get_xdata()[0] == pytest.approx(np.log(penalty))
        assert line.get_linestyle() == style
    assert any(list(line.get_xdata()) == pytest.approx([np.log(0.2)] * 2) for line in right.lines)
    # Only what is kept at the lambda in use has a name.
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a"]


def test_bars_are_a_standard_error_and_counts_stand_above():
    figure = draw_lasso(CURVE, coefficient_paths(CURVE, PATH))
    bars = figure.axes[0].collections[0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], [[1.1, 1.3], [0.9, 1.1], [0.7, 1.1], [1.0, 1.2]])
    top = figure.axes[0].child_axes[0]
    assert [label.get_text() for label in top.get_xticklabels()] == ["0", "1", "2", "2"]


def test_a_path_on_which_nothing_enters_is_drawn():
    figure = draw_lasso(CURVE, coefficient_paths(CURVE, None))
    assert "No feature enters" in figure.axes[1].texts[0].get_text()


def test_a_figure_per_stage_of_the_first_fold(classical):
    plans = plan_lasso(read_run(classical))
    assert [plan.name for plan in plans] == ["lasso", "lasso_deep", "lasso_radiomics"]
    assert plans[0].title == "How many features: the final stage"
    assert all(plan.caption.startswith("Of fold 0, one of 5") for plan in plans)
    assert "The λ in use (solid, λ.min) keeps " in plans[0].caption
    assert "filters and LASSO run anew in every cross-validation fold" in plans[0].caption


def test_a_stage_named_like_a_path_stays_in_its_folder(classical_dir):
    for name in ("lasso_cv", "lasso_path", "selection"):
        path = classical_dir / f"{name}.csv"
        path.write_text(path.read_text().replace(",deep,", ",../../x,"))
    assert [plan.name for plan in plan_lasso(read_run(classical_dir))][1] == "lasso_______x"


def test_no_lambda_in_use_is_said(classical_dir, fake):
    rows = [[0, "final", 0.1, 1, 0.1, 0, "", 0]]
    fake.write_csv(classical_dir / "lasso_cv.csv",
                   ["fold", "stage", "lambda", "deviance", "error", "n_nonzero", "chosen", "used"], rows)  # fmt: skip
    (plan,) = plan_lasso(read_run(classical_dir))
    assert "does not say which λ" in plan.figure


def test_a_network_has_none(finished):
    assert plan_lasso(read_run(finished)) == []
