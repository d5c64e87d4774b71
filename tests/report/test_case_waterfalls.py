import csv
from pathlib import Path

import numpy as np
import pytest

from fusion.errors import InputError
from fusion.report.case_waterfalls import branch_waterfalls, input_waterfalls
from fusion.report.run_folder import read_run

INPUTS = ["case_id", "fold", "name", "value", "completeness_error", "unit"]
SHAPLEY = ["case_id", "fold", "probability", "base", "image", "radiomics", "clinical"]
SHAPLEY += ["gate_image", "gate_radiomics", "gate_clinical", "agree"]
# What no waterfall shows.
OTHERS = ["image_radiomics", "image_clinical", "radiomics_clinical", "largest_gate", "largest_value"]


@pytest.fixture
def run_dir(tmp_path: Path, fake) -> Path:
    simulation = fake.Simulation(20)
    run_dir = fake.write_run(tmp_path / "run", simulation, optional=False)
    fake.write_predictions(run_dir / "predictions_cases.csv", simulation.cases)
    return run_dir


def write_shapley(run_dir: Path, fake, rows) -> None:
    whole = [[*row, 0, 0, 0, "image", "image"] for row in rows]
    fake.write_csv(run_dir / "attributions/shapley.csv", [*SHAPLEY, *OTHERS], whole)


def probability(run_dir: Path, case_id: str) -> float:
    with (run_dir / "predictions_cases.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["case_id"] == case_id and row["part"] == "test"]
    return float(rows[0]["prob_malignant"])


def test_inputs_end_at_the_prediction_of_the_case(run_dir: Path, fake) -> None:
    feature = "original_shape2D_Sphericity"
    rows = [["000_0", 0, "age", 0.1, 0, "probability"], ["000_0", 0, feature, -0.03, 0, "probability"]]
    fake.write_csv(run_dir / "attributions/inputs.csv", INPUTS, rows)
    of = input_waterfalls(read_run(run_dir))["000_0"]
    p = probability(run_dir, "000_0")
    assert [step.value for step in of.steps] == pytest.approx([p - 0.07, 0.1, -0.03, p])
    assert of.unit == "probability"
    assert of.steps[2].code == feature
    assert of.steps[2].name != feature


def test_values_in_log_odds_end_at_the_log_odds(run_dir: Path, fake) -> None:
    fake.write_csv(run_dir / "attributions/inputs.csv", INPUTS, [["000_0", 0, "age", 0.5, 0, "logit"]])
    of = input_waterfalls(read_run(run_dir))["000_0"]
    p = probability(run_dir, "000_0")
    assert of.unit == "log-odds"
    assert of.steps[-1].value == pytest.approx(np.log(p / (1 - p)))


def test_a_case_without_a_prediction_of_that_fold_has_no_waterfall(run_dir: Path, fake) -> None:
    rows = [["000_0", 3, "age", 0.1, 0, "probability"], ["unknown", 0, "age", 0.1, 0, "probability"]]
    fake.write_csv(run_dir / "attributions/inputs.csv", INPUTS, rows)
    assert input_waterfalls(read_run(run_dir)) == {}


def test_branches_begin_at_the_base_and_say_where_gates_disagree(run_dir: Path, fake) -> None:
    rows = [
        ["000_0", 0, 0.7, 0.4, 0.35, -0.05, "", 0.2, 0.8, "", "no"],
        ["001_0", 1, 0.6, 0.4, 0.1, 0.05, 0.05, 0.5, 0.3, 0.2, "yes"],
    ]
    write_shapley(run_dir, fake, rows)
    found = branch_waterfalls(read_run(run_dir))
    lacking, whole = found["000_0"], found["001_0"]
    assert [step.value for step in lacking.waterfall.steps] == pytest.approx([0.4, 0.35, -0.05, 0.7])
    text = " ".join(lacking.sentences)
    assert "left out: clinical." in text
    assert "image 0.20, radiomics 0.80." in text
    assert "largest gate is not the one that moved" in text
    assert [step.name for step in whole.waterfall.steps[1:-1]] == ["image", "radiomics", "clinical"]
    assert not any("largest gate" in sentence or "left out" in sentence for sentence in whole.sentences)


def test_several_models_of_a_case_are_averaged(run_dir: Path, fake) -> None:
    rows = [
        ["000_0", 0, 0.7, 0.4, 0.2, 0.1, 0.0, 0.5, 0.3, 0.2, "no"],
        ["000_0", 5, 0.5, 0.4, 0.0, 0.1, 0.0, 0.5, 0.3, 0.2, "yes"],
    ]
    write_shapley(run_dir, fake, rows)
    of = branch_waterfalls(read_run(run_dir))["000_0"]
    assert of.waterfall.n_tests == 2
    assert of.waterfall.steps[-1].value == pytest.approx(0.6)
    assert "in 1 of 2 models" in of.sentences[-1]


def test_a_table_of_branches_without_its_columns_is_refused(run_dir: Path, fake) -> None:
    fake.write_csv(run_dir / "attributions/shapley.csv", ["case_id", "fold"], [["000_0", 0]])
    with pytest.raises(InputError, match=r"shapley\.csv.*'probability', 'base', 'image'"):
        read_run(run_dir)
