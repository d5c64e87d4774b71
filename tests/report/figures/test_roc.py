import json

import pytest

from fusion.report.figures.roc import plan_roc, plan_roc_centers
from fusion.report.run_folder import read_run


def labels(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_labels_have_the_interval_of_metrics_json(finished):
    run = read_run(finished)
    auc = run.metrics["test"]["auc"]
    expected = f"AUC, pooled: {auc['value']:.3f} ({auc['ci_low']:.3f} to {auc['ci_high']:.3f})"
    assert labels(plan_roc(run).figure) == [expected]
    by_center = " ".join(labels(plan_roc_centers(run).figure))
    for center, figures in run.metrics["centers"].items():
        assert f"{center} (n = {figures['auc']['n']}): {figures['auc']['value']:.3f}" in by_center


def test_three_labels_have_no_threshold_to_mark(tmp_path, fake, finished):
    simulation = fake.Simulation(80, label_names=("benign", "primary", "secondary"))
    run = read_run(fake.write_run(tmp_path / "run", simulation, optional=False))
    assert "The cross is" not in plan_roc(run).caption
    assert "The cross is the frozen threshold" in plan_roc(read_run(finished)).caption


def test_of_many_centers_the_largest_are_drawn_and_the_caption_says_so(tmp_path, fake):
    simulation = fake.Simulation(400, centers=tuple(f"center {k}" for k in range(8)))
    run_dir = fake.write_run(tmp_path / "run", simulation, optional=False)
    plan = plan_roc_centers(read_run(run_dir))
    drawn = [int(label.split("n = ")[1].split(")")[0]) for label in labels(plan.figure)]
    sizes = [figures["auc"]["n"] for figures in json.loads((run_dir / "metrics.json").read_text())["centers"].values()]
    assert drawn == sorted(sizes, reverse=True)[:6]
    assert "the 6 with the most patients of 8" in plan.caption


@pytest.mark.parametrize("plan", [plan_roc, plan_roc_centers])
def test_a_missing_label_or_a_single_center_is_a_reason(tmp_path, fake, plan):
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(40, centers=("One",)), optional=False)
    path = run_dir / "predictions.csv"
    path.write_text(
        path.read_text().replace("malignant,", "benign,").replace("prob_benign,prob_benign", "prob_a,prob_b")
    )
    path.write_text(path.read_text().replace("prob_a", "prob_benign").replace("prob_b\n", "prob_malignant\n"))
    assert isinstance(plan(read_run(run_dir)).figure, str)
