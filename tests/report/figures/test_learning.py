import json

import numpy as np

from fusion.report.figures.learning import plan_learning
from fusion.report.run_folder import read_run


def test_the_last_point_is_the_run_itself(run_dir, fake):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["learning_curve"] = [{"share": s, "n_train": 112 * s, "auc": fake.estimate(s, 28)} for s in (0.75, 0.5)]
    path.write_text(json.dumps(metrics))
    plan = plan_learning(read_run(run_dir))
    (line,) = plan.figure.axes[0].lines
    assert "settings of every point" not in plan.caption
    np.testing.assert_allclose(line.get_xdata(), [56, 84, 112])
    np.testing.assert_allclose(line.get_ydata(), [0.5, 0.75, metrics["test"]["auc"]["value"]])


def test_settings_that_were_tuned_on_everybody_are_said(run_dir, fake):
    (run_dir / "fold_0").mkdir()
    (run_dir / "fold_0" / "fold.json").write_text(json.dumps({"setting": {"l1": 0.01}}))
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["learning_curve"] = [{"share": 0.5, "n_train": 56, "auc": fake.estimate(0.7, 28)}]
    path.write_text(json.dumps(metrics))
    assert "settings of every point were chosen with all training" in plan_learning(read_run(run_dir)).caption


def test_none_was_asked_for(finished):
    assert plan_learning(read_run(finished)) is None
