import json
from pathlib import Path
from typing import Any

import pytest

from fusion.comparison.inputs import rank_inputs
from fusion.errors import FusionError

CLASSICAL = {"model": {"name": "composite", "inputs": {"clinical": "features"}}}
NETWORK = {"model": {"name": "fusion", "branches": ["radiomics", "clinical"]}}
HEADER = "case_id,fold,name,value,completeness_error"


def write(run: Path, name: str, *rows: str, header: str = HEADER) -> None:
    (run / "attributions").mkdir(exist_ok=True)
    (run / "attributions" / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture(autouse=True)
def begun(tmp_path: Path) -> None:
    """A run's folder, without a finished fold."""
    (tmp_path / "config.yaml").write_text("seed: 0\n")


def finish(run: Path, *inputs: list[str] | None) -> None:
    """A finished fold for each list of the final stage's inputs; None for a network's."""
    for number, of_fold in enumerate(inputs):
        fold = run / f"fold_{number}"
        fold.mkdir()
        (fold / "fold.json").write_text(json.dumps({} if of_fold is None else {"inputs": of_fold}))
        (fold / "predictions_cases.csv").write_text("")


def rank(run: Path, config: dict[str, Any], n_shown: int = 15) -> dict[str, Any]:
    return rank_inputs(run, config, n_shown=n_shown)


def test_of_a_classical_model_the_mean_over_cases_and_folds(tmp_path: Path) -> None:
    rows = ("1,0,age,0.5,0.001,logit", "1,0,edge,-1,0.001,logit", "2,0,age,-0.3,0,logit", "2,0,edge,0,0,logit",
            "1,1,age,0.4,-0.02,logit", "1,1,deep,2.4,-0.02,logit")  # fmt: skip
    write(tmp_path, "inputs", *rows, header=f"{HEADER},unit")
    # Three cases: 1 and 2 of fold 0, 1 of fold 1.
    found = rank(tmp_path, CLASSICAL)
    ranking = found.pop("ranking")
    assert [(of["name"], of["n_folds"]) for of in ranking] == [("deep", 1), ("age", 2), ("edge", 1)]
    assert [of["strength"] for of in ranking] == pytest.approx([0.8, 0.4, 1 / 3])
    assert found == {
        "method": "shap",
        "inputs_of": "final stage",
        "unit": "logit",
        "n_cases": 3,
        "n_folds": 2,
        "n_folds_without_input": 0,
        "n_inputs": 3,
        "completeness_error": 0.02,
    }
    assert [of["name"] for of in rank(tmp_path, CLASSICAL, n_shown=1)["ranking"]] == ["deep"]
    assert rank(tmp_path, CLASSICAL, n_shown=1)["n_inputs"] == 3


def test_of_the_network_the_shap_values_of_its_tabular_inputs(tmp_path: Path) -> None:
    # Case 2 lacks its radiomics: the feature moved nothing there.
    rows = ("1,0,energy,0.3,1e-8,probability", "1,0,age,-0.1,1e-8,probability", "2,0,age,0.1,0,probability")
    write(tmp_path, "inputs", *rows, header=f"{HEADER},unit")
    write(tmp_path, "clinical", "1,0,stale,9,0.1")
    found = rank(tmp_path, NETWORK)
    assert (found["method"], found["inputs_of"]) == ("shap", "tabular branches")
    assert (found["unit"], found["n_cases"]) == ("probability", 2)
    assert [(of["name"], of["strength"]) for of in found["ranking"]] == [("energy", 0.15), ("age", 0.1)]


def test_of_an_older_network_integrated_gradients_and_cases_that_are_in_one_table_only(tmp_path: Path) -> None:
    write(tmp_path, "radiomics", "1,0,energy,0.6,0.1")
    write(tmp_path, "clinical", "1,0,age,0.5,0.1", "2,0,age,-0.5,0.2")
    found = rank(tmp_path, NETWORK)
    assert found["inputs_of"] == "tabular branches"
    assert (found["method"], found["unit"], found["n_cases"]) == ("integrated_gradients", "logit", 2)
    assert [(of["name"], of["strength"]) for of in found["ranking"]] == [("age", 0.5), ("energy", 0.3)]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (CLASSICAL, "attributions/inputs.csv: explain=none."),
        (NETWORK, "attributions/inputs.csv: explain=none, or it has no tabular branch."),
    ],
)
def test_a_run_without_tables_has_a_reason(config: dict[str, Any], reason: str, tmp_path: Path) -> None:
    assert rank(tmp_path, config) == {"absent": f"The run has no attributions in {reason}"}


def test_folds_whose_final_stage_has_no_input_are_counted(tmp_path: Path) -> None:
    finish(tmp_path, ["age"], [], [])
    write(tmp_path, "inputs", "1,0,age,0.5,0,logit", header=f"{HEADER},unit")
    found = rank(tmp_path, CLASSICAL)
    assert (found["n_cases"], found["n_folds"], found["n_folds_without_input"]) == (1, 1, 2)


def test_a_networks_folds_are_no_folds_without_input(tmp_path: Path) -> None:
    finish(tmp_path, None, None)
    write(tmp_path, "clinical", "1,0,age,0.5,0.1")
    assert rank(tmp_path, NETWORK)["n_folds_without_input"] == 0


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (([], []), "in 2 of 2 folds its final stage has no input."),
        ((["age"], []), "in 1 of 2 folds its final stage has no input; for the others explain=none."),
    ],
)
def test_without_rows_the_folds_say_why(inputs: tuple[list[str], ...], reason: str, tmp_path: Path) -> None:
    finish(tmp_path, *inputs)
    assert rank(tmp_path, CLASSICAL)["absent"] == f"The run has no attributions in attributions/inputs.csv: {reason}"


def test_units_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path, "inputs", "1,0,a,1,0,logit", "1,1,a,1,0,probability", header=f"{HEADER},unit")
    assert "different units (logit, probability)" in rank(tmp_path, CLASSICAL)["absent"]


@pytest.mark.parametrize(("header", "row"), [(HEADER, "1,0,a,much,0"), ("case_id,fold", "1,0"), (HEADER, "1,0,a")])
def test_a_broken_table_is_refused(header: str, row: str, tmp_path: Path) -> None:
    write(tmp_path, "inputs", row, header=header)
    with pytest.raises(FusionError, match=r"inputs\.csv: required a table as a run writes it"):
        rank(tmp_path, CLASSICAL)
