from pathlib import Path

import pytest
import yaml

from fusion.report.explained import explained
from fusion.report.run_folder import read_run

SHAPLEY = [
    *("case_id", "fold", "probability", "base", "image", "radiomics", "clinical"),
    *("image_radiomics", "image_clinical", "radiomics_clinical", "gate_image", "gate_radiomics", "gate_clinical"),
    *("largest_gate", "largest_value", "agree"),
]
ROWS = [
    ["000_0", 0, 0.7, 0.4, 0.2, 0.1, 0.0, -0.1, 0.0, 0.0, 0.5, 0.3, 0.2, "image", "image", "yes"],
    ["001_0", 0, 0.6, 0.4, 0.05, 0.15, 0.0, -0.1, 0.0, 0.0, 0.5, 0.3, 0.2, "image", "radiomics", "no"],
    ["002_0", 1, 0.5, 0.4, 0.0, 0.1, "", -0.12, "", "", 0.6, 0.4, "", "image", "radiomics", "no"],
]
CHECKS = ["fold", "method", "n_cases", "verdict"]


@pytest.fixture
def run_dir(tmp_path: Path, fake) -> Path:
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(20), optional=False)
    fake.write_csv(run_dir / "attributions/shapley.csv", SHAPLEY, ROWS)
    fake.write_csv(run_dir / "attributions/pixel_checks.csv", CHECKS, [[0, "grad_cam", 6, "unproven: few cases"]])
    return run_dir


def test_branches_over_all_cases_and_what_follows(run_dir: Path) -> None:
    found = explained(read_run(run_dir))
    assert found is not None
    assert found.branches["image"]["mean_absolute"] == pytest.approx(0.25 / 3)
    assert found.branches["clinical"]["n"] == 2
    assert found.branches["radiomics"]["n_largest"] == 2
    said = " ".join(found.sentences)
    assert "Image and radiomics partly repeat each other" in said
    assert "In 2 of 3 cases the branch with the largest gate is not the one" in said
    assert "Branches: " in said
    assert [(check["method"], check["verdict"]) for check in found.checks] == [("grad_cam", "unproven: few cases")]


def test_a_network_that_never_did_without_a_branch_is_said_to_guess(run_dir: Path) -> None:
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    for dropout, is_said in ((0.2, False), (0, True)):
        config["model"] = {"name": "fusion", "branch_dropout": dropout}
        (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
        found = explained(read_run(run_dir))
        assert found is not None
        assert any("branch_dropout=0" in sentence for sentence in found.sentences) == is_said


def test_a_run_without_explanations_has_nothing_to_say(tmp_path: Path, fake) -> None:
    assert explained(read_run(fake.write_run(tmp_path / "run", fake.Simulation(20), optional=False))) is None
