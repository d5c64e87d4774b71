import numpy as np
import pandas as pd
import pytest

from fusion.report.figures.selection import draw_selection, plan_selection, rank_selection
from fusion.report.figures.style import ORANGE, SKY
from fusion.report.run_folder import read_run

SELECTION = pd.DataFrame(
    {"fold": ["0", "1", "0", "1"], "feature": ["a", "a", "b", "c"], "coefficient": [0.4, -0.1, -0.9, 0.2],
     "frequency": [0.9, 0.7, 0.3, np.nan]}
)  # fmt: skip


def test_ranking_by_hand():
    ranking = rank_selection(SELECTION, 2)
    assert list(ranking["feature"]) == ["b", "a", "c"]
    assert ranking["coefficient"].tolist() == pytest.approx([-0.45, 0.15, 0.1])
    assert ranking["frequency"].tolist()[:2] == pytest.approx([0.3, 0.8])
    assert np.isnan(ranking["frequency"][2])
    assert ranking["n_folds"].tolist() == [1, 2, 1]


def test_rows_show_coefficients_frequencies_and_folds():
    figure = draw_selection(rank_selection(SELECTION, 2), SELECTION, 2)
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == pytest.approx([-0.45, 0.15, 0.1])
    assert sorted(left.lines[0].get_xdata()) == [-0.9, -0.1, 0.2, 0.4]
    assert [text.get_text() for text in right.texts] == [
        "30\N{NO-BREAK SPACE}%, 1 of 2 folds",
        "80\N{NO-BREAK SPACE}%, 2 of 2 folds",
        "1 of 2 folds",
    ]
    from matplotlib.colors import to_hex

    assert [to_hex(bar.get_facecolor()).upper() for bar in right.patches[:2]] == [ORANGE, SKY]


def test_the_words_beside_the_longest_bar_stay_in_the_figure():
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    selection = SELECTION.assign(frequency=1.0, feature=["x" * 60, "x" * 60, "b", "c"])
    figure = draw_selection(rank_selection(selection, 10), selection, 10)
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in figure.axes[1].texts:
        assert text.get_window_extent(renderer).x1 <= figure.bbox.x1 + 1


def test_what_was_not_measured_is_counted_in_folds():
    selection = SELECTION.assign(frequency=np.nan)
    right = draw_selection(rank_selection(selection, 2), selection, 2).axes[1]
    assert right.get_xlabel() == "Folds"
    assert [bar.get_width() for bar in right.patches] == [0.5, 1, 0.5]


def test_a_figure_per_stage_and_a_reason_where_nothing_was_kept(classical_dir):
    path = classical_dir / "selection.csv"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if ",deep," not in line) + "\n")
    plans = {plan.name: plan for plan in plan_selection(read_run(classical_dir))}
    assert list(plans) == ["selection", "selection_deep", "selection_radiomics"]
    assert plans["selection_deep"].figure == "The selection of the deep score kept no feature in any fold."
    assert "more malignant" in plans["selection"].caption


def test_the_caption_says_what_a_resample_repeats_and_what_a_share_means(classical_dir, fake):
    header = ["fold", "stage", "feature", "coefficient", "frequency"]
    fake.write_csv(classical_dir / "selection.csv", header, [[0, "final", "age", 0.3, 0.9]])
    caption = plan_selection(read_run(classical_dir))[0].caption
    assert (
        "the share of bootstrap resamples of the training patients in which filters and the LASSO at the chosen "
        "penalty keep the feature. A high share means a stable choice, not a true one"
    ) in caption
    fake.write_facts(classical_dir, candidates=[{"clinical": 24}] * 5)
    assert "in which the LASSO at the chosen penalty keeps" in plan_selection(read_run(classical_dir))[0].caption


def test_without_resamples_the_caption_speaks_of_folds(classical_dir):
    path = classical_dir / "selection.csv"
    path.write_text(
        "\n".join(line[: line.rindex(",") + 1] if k else line for k, line in enumerate(path.read_text().splitlines()))
    )
    caption = plan_selection(read_run(classical_dir))[0].caption
    assert "in how many folds the feature was selected" in caption
    assert "resamples" not in caption


def test_a_network_has_none(finished):
    assert plan_selection(read_run(finished)) == []
