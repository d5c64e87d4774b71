import json

import numpy as np

from fusion.report.figures.learning import plan_learning
from fusion.report.run_folder import read_run


def test_the_last_point_is_the_run_itself(run_dir, fake):
    path = run_dir / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["learning_curve"] = [{"share": s, "n_train": 112 * s, "auc": fake.estimate(s, 28)} for s in (0.75, 0.5)]
    path.write_text(json.dumps(metrics))
    (line,) = plan_learning(read_run(run_dir)).figure.axes[0].lines
    np.testing.assert_allclose(line.get_xdata(), [56, 84, 112])
    np.testing.assert_allclose(line.get_ydata(), [0.5, 0.75, metrics["test"]["auc"]["value"]])


def test_none_was_asked_for(finished):
    assert plan_learning(read_run(finished)) is None
