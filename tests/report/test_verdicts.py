import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusion.report.mistakes import worst_mistakes
from fusion.report.run_folder import FinishedRun, read_run
from fusion.report.verdicts import NEAR, verdicts


@pytest.fixture
def run(tmp_path: Path, fake) -> FinishedRun:
    return read_run(fake.write_run(tmp_path / "run", fake.Simulation(60), optional=False))


def scored(run: FinishedRun, *scores: float, folds: tuple[int, ...], label: str = "malignant") -> FinishedRun:
    """One patient, tested by some folds with these probabilities."""
    n = len(scores)
    patients = replace(
        run.patients,
        patient_ids=("1",) * n,
        centers=("Fudan",) * n,
        parts=("test",) * n,
        folds=folds,
        labels=(label,) * n,
        probabilities=np.array([[1 - score, score] for score in scores]),
    )
    return replace(run, patients=patients)


def test_the_wrong_ones_are_those_of_the_mistakes_worst_first(run: FinishedRun) -> None:
    found = verdicts(run)
    assert len(found) == 60
    wrong = {verdict.patient_id for verdict in found if verdict.name == "wrong"}
    assert wrong == {mistake.patient_id for mistake in worst_mistakes(run)}
    assert 0 < len(wrong) < 60
    own = [verdict.own for verdict in found]
    assert own == sorted(own)
    assert found[0].patient_id == worst_mistakes(run)[0].patient_id


@pytest.mark.parametrize(("score", "name", "is_uncertain"), [
    (0.46 + 0.01, "correct", True), (0.46, "correct", True), (0.46 - 0.01, "wrong", True),
    (0.46 + NEAR + 0.01, "correct", False), (0.46 - NEAR - 0.01, "wrong", False),
])  # fmt: skip
def test_judged_by_the_threshold_of_the_fold(run: FinishedRun, score: float, name: str, is_uncertain: bool) -> None:
    (verdict,) = verdicts(scored(run, score, folds=(0,)))
    assert (verdict.name, verdict.is_uncertain) == (name, is_uncertain)
    assert verdict.called == ("benign" if name == "wrong" else "malignant")
    assert verdict.distance == pytest.approx(score - 0.46)


def test_repeats_that_do_not_agree_are_uncertain_and_one_wrong_one_is_wrong(run: FinishedRun) -> None:
    (verdict,) = verdicts(scored(run, 0.9, 0.9, 0.2, folds=(0, 1, 2)))
    assert (verdict.name, verdict.n_wrong, verdict.n_tests) == ("wrong", 1, 3)
    assert verdict.called == "malignant"
    assert verdict.is_uncertain
    assert verdict.probability == pytest.approx(2 / 3)
    (agreed,) = verdicts(scored(run, 0.9, 0.9, 0.8, folds=(0, 1, 2)))
    assert (agreed.name, agreed.is_uncertain) == ("correct", False)


def test_without_an_outcome_nobody_is_wrong(run: FinishedRun) -> None:
    (verdict,) = verdicts(scored(run, 0.9, folds=(0,), label=""))
    assert (verdict.name, verdict.own, verdict.called) == ("unknown", None, "malignant")


def test_of_three_labels_the_most_probable_is_called(tmp_path: Path, fake) -> None:
    names = ("benign", "primary", "secondary")
    run = read_run(fake.write_run(tmp_path / "run", fake.Simulation(60, label_names=names), optional=False))
    found = verdicts(run)
    assert {verdict.patient_id for verdict in found if verdict.name == "wrong"} == {
        mistake.patient_id for mistake in worst_mistakes(run)
    }
    rows = {patient: row for row, patient in enumerate(run.patients.patient_ids) if run.patients.parts[row] == "test"}
    for verdict in found:
        ordered = sorted(run.patients.probabilities[rows[verdict.patient_id]])
        assert verdict.probability == pytest.approx(ordered[-1])
        assert verdict.is_uncertain == (ordered[-1] - ordered[-2] < NEAR)


def test_a_run_without_thresholds_is_judged_at_one_half(run: FinishedRun) -> None:
    metrics = json.loads(json.dumps(run.metrics))
    metrics.pop("operating_points")
    (verdict,) = verdicts(replace(scored(run, 0.48, folds=(0,)), metrics=metrics))
    assert (verdict.name, verdict.distance) == ("wrong", pytest.approx(-0.02))
