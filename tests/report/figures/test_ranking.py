import pandas as pd
import pytest

from fusion.report.figures.ranking import (
    draw_ranking,
    plan_attribution,
    plan_features,
    rank_attributions,
    rank_features,
)
from fusion.report.run_folder import read_run


def test_features_are_ranked_by_mean_absolute_weight_over_all_folds():
    table = pd.DataFrame(
        [(0, "a", 0.9), (0, "b", -0.4), (1, "b", 0.4), (2, "b", -0.4), (1, "c", 0.0)],
        columns=["fold", "feature", "weight"],
    )
    ranked = rank_features(table, 3)
    assert ranked["name"].tolist() == ["b", "a"]
    assert ranked["strength"].tolist() == pytest.approx([0.4, 0.3])
    assert ranked["note"].tolist() == ["3 of 3 folds", "1 of 3 folds"]


def test_attributions_are_ranked_by_mean_absolute_value_over_all_cases_that_were_explained():
    table = pd.DataFrame([("a", 1.0), ("a", -1.0), ("b", 1.5), ("c", 0.2)], columns=["name", "value"])
    ranked = rank_attributions(table, 2)
    assert ranked[["name", "strength"]].values.tolist() == [["a", 1.0], ["b", 0.75], ["c", 0.1]]


def test_a_case_that_a_branch_did_not_move_counts_as_zero(run_dir):
    header = "case_id,fold,name,value\n"
    (run_dir / "attributions/radiomics.csv").write_text(f"{header}1,0,energy,0.6\n")
    (run_dir / "attributions/clinical.csv").write_text(f"{header}1,0,age,0.5\n2,0,age,0.5\n2,1,age,0.5\n")
    # Of cases with SHAP values others were explained.
    (run_dir / "attributions/inputs.csv").write_text(f"{header[:-1]},unit\n7,0,age,0.5,probability\n")
    axes = plan_attribution(read_run(run_dir), "radiomics").figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.2])


def test_inputs_that_moved_nothing_are_drawn_without_a_warning():
    table = rank_attributions(pd.DataFrame([("a", 0.0), ("b", 0.0)], columns=["name", "value"]), 1)
    assert draw_ranking(table, "Mean absolute attribution").axes[0].get_xlim() == (0, 1)


def test_features_that_all_fell_to_the_penalty_are_a_reason(run_dir):
    (run_dir / "features.csv").write_text("fold,feature,weight\n0,a,0.0\n")
    reason = "No radiomics feature survived the L1 penalty in any fold."
    assert plan_features(read_run(run_dir)).figure == reason
