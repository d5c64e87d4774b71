import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fusion.cohorts.simulation.outcome import probability_of
from fusion.cohorts.simulation.patient import Patient
from fusion.cohorts.simulation.settings import Quota, Simulation, read_settings
from fusion.cohorts.simulation.truth import describe_truth

PHANTOM = Path(__file__).parents[3] / "conf/cohort/phantom.yaml"


@pytest.fixture(scope="module")
def settings() -> Simulation:
    simulation = yaml.safe_load(PHANTOM.read_text())["simulation"]
    return read_settings(simulation | {"weights": {"texture": 2.0, "shape": -1.0, "clinical": 0.5}})


def patient(label: str, *, texture: float, shape: float, clinical: float) -> Patient:
    logit = 2.0 * texture - shape + 0.5 * clinical
    return Patient(
        center="north",
        texture=texture,
        shape=shape,
        clinical=clinical,
        logit=logit,
        probability=probability_of(logit),
        label=label,
        row={"age": "57"},
    )


@pytest.fixture
def patients() -> dict[str, Patient]:
    return {
        "p1": patient("malignant", texture=1.0, shape=-2.0, clinical=0.0),
        "p2": patient("malignant", texture=0.0, shape=-1.0, clinical=1.0),
        "p3": patient("benign", texture=0.5, shape=1.0, clinical=1.0),
        "p4": patient("benign", texture=-1.0, shape=0.0, clinical=2.0),
    }


def test_a_factor_s_auc_is_signed_by_its_weight(settings: Simulation, patients: dict[str, Patient]) -> None:
    truth = describe_truth(settings, patients)
    # Of four pairs of a malignant and a benign patient: texture is wrong in one; a low shape is malignant, as its
    # weight says; clinical is right in none, and equal in one.
    assert {name: factor["auc"] for name, factor in truth["factors"].items()} == {
        "texture": 0.75,
        "shape": 1.0,
        "clinical": 0.125,
    }
    assert {name: factor["weight"] for name, factor in truth["factors"].items()} == {
        "texture": 2.0,
        "shape": -1.0,
        "clinical": 0.5,
    }
    # Logits 4 and 1.5 against 0.5 and -1; all from one center.
    assert truth["auc"] == {"bayes": 1.0, "center": 0.5}


def test_it_is_plain_and_holds_no_row(settings: Simulation, patients: dict[str, Patient]) -> None:
    truth = describe_truth(settings, patients)
    assert json.loads(json.dumps(truth["patients"])) == truth["patients"]
    assert truth["patients"]["p4"] == {
        "center": "north",
        "texture": -1.0,
        "shape": 0.0,
        "clinical": 2.0,
        "logit": -1.0,
        "probability": pytest.approx(0.2689414),
        "label": "benign",
    }
    assert set(truth["intercepts"]) == set(settings.centers)


def test_with_one_label_there_is_no_auc(settings: Simulation, patients: dict[str, Patient]) -> None:
    truth = describe_truth(settings, {name: patients[name] for name in ("p1", "p2")})
    assert truth["auc"] == {"bayes": None, "center": None}


def test_columns_that_carry_the_clinical_factor_are_named(settings: Simulation, patients: dict[str, Patient]) -> None:
    carriers = {name: factor["carriers"] for name, factor in describe_truth(settings, patients)["factors"].items()}
    assert set(carriers["clinical"]["clinical"]) == {"age", "pain", "us_node_status", "node_long_short_ratio"}
    assert carriers["shape"]["radiomics"] == ["shape2D"]
    assert carriers["texture"]["clinical"] == carriers["shape"]["clinical"] == {}


def test_findings_that_go_with_the_clinical_factor_are_named(
    settings: Simulation, patients: dict[str, Patient]
) -> None:
    tied = replace(settings, finding_loadings={"edge": 0.6, "calcification": 0.0})
    carriers = describe_truth(tied, patients)["factors"]["clinical"]["carriers"]
    assert carriers["clinical"]["edge"] == pytest.approx(0.6 * settings.findings.edge.agreement)
    assert "calcification" not in carriers["clinical"]
    assert carriers["image"] == "edge of the lesion"
    assert "glcm" in carriers["radiomics"]
    plain = describe_truth(settings, patients)["factors"]["clinical"]["carriers"]
    assert (plain["image"], plain["radiomics"]) == (None, [])


def test_settings_that_are_null_are_left_out(settings: Simulation, patients: dict[str, Patient]) -> None:
    assert not {"design", "parts", "finding_loadings"} & set(describe_truth(settings, patients)["settings"])
    parts = dict.fromkeys(settings.centers, "train")
    assert describe_truth(replace(settings, parts=parts), patients)["settings"]["parts"] == parts


def test_a_design_s_intercepts_are_those_of_its_prevalences(settings: Simulation, patients: dict[str, Patient]) -> None:
    even = replace(settings, design=dict.fromkeys(settings.centers, Quota(n=10, positive=5)))
    assert describe_truth(even, patients)["intercepts"] == pytest.approx(dict.fromkeys(settings.centers, 0.0), abs=1e-9)
