import json

import pytest

from fusion.report.mistakes import worst_mistakes
from fusion.report.run_folder import read_run


def test_each_patient_is_judged_by_the_threshold_of_its_fold(run_dir, fake):
    run = read_run(run_dir)
    mistakes = worst_mistakes(run)
    wrong = {
        patient
        for patient, fold, label, p in zip(
            run.test.patient_ids, run.test.folds, run.test.labels, run.test.probabilities[:, 1], strict=True
        )
        if (p >= fake.thresholds[fold]) != (label == "malignant")
    }
    assert {mistake.patient_id for mistake in mistakes} == wrong
    assert [m.probability for m in mistakes] == sorted(m.probability for m in mistakes)
    accuracy = run.metrics["test"]["accuracy"]
    assert len(mistakes) == pytest.approx((1 - accuracy["value"]) * accuracy["n"])


def test_without_thresholds_the_likelier_label_is_called(run_dir):
    metrics = json.loads((run_dir / "metrics.json").read_text())
    del metrics["operating_points"]
    (run_dir / "metrics.json").write_text(json.dumps(metrics))
    assert all(m.probability < 0.5 and m.threshold is None for m in worst_mistakes(read_run(run_dir)))
