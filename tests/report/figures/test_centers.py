import json

import pytest

from fusion.report.figures.centers import plan_centers
from fusion.report.run_folder import read_run


def words(plan):
    return [text.get_text() for text in plan.figure.axes[0].texts]


def change(run_dir, edit):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    edit(metrics)
    path.write_text(json.dumps(metrics))
    return plan_centers(read_run(run_dir))


def test_centers_summary_and_prediction_are_named_with_their_numbers(finished):
    run = read_run(finished)
    plan = plan_centers(run)
    shown = words(plan)
    for center, figures in run.metrics["centers"].items():
        assert center in shown
        assert f"{figures['auc']['n']} ({figures['sensitivity']['n']})" in shown
    assert {"4 centers", "0.870 (0.740 to 0.940)", "0.660 to 0.960", "All, pooled"} <= set(shown)
    assert "I² 34\N{NO-BREAK SPACE}%, τ² 0.123" in plan.caption


def test_no_heterogeneity_that_was_shown_is_not_none(finished):
    caption = plan_centers(read_run(finished)).caption
    assert "no difference beyond chance could be shown, which in 4 centers does not mean that there is none" in caption
    assert "DeLong, logit scale" in caption


def test_three_labels_have_bootstrap_intervals(tmp_path, fake):
    simulation = fake.Simulation(80, label_names=("benign", "primary", "secondary"))
    plan = plan_centers(read_run(fake.write_run(tmp_path / "run", simulation, optional=False)))
    assert "a bootstrap of patients" in plan.caption
    assert "DeLong" not in plan.caption


def test_without_a_summary_there_is_none(run_dir):
    plan = change(run_dir, lambda metrics: metrics["between_centers"].update(auc=None))
    assert "Random-effects summary" not in words(plan)
    assert "diamond" not in plan.caption


def test_a_center_without_an_auc_says_why(run_dir):
    nothing = {"value": None, "ci_low": None, "ci_high": None, "n": 3}
    plan = change(run_dir, lambda metrics: metrics["centers"]["Fudan"].update(auc=nothing))
    assert "one label only: no AUC" in words(plan)


@pytest.mark.parametrize("centers", [{}, None])
def test_nothing_to_compare_is_no_figure(run_dir, centers):
    assert change(run_dir, lambda metrics: metrics.update(centers=centers)) is None
