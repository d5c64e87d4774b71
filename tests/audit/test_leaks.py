from typing import Any

import pytest

from fusion.audit.leaks import known_afterwards, leaks


def test_a_column_equal_to_the_label_is_an_error(planted: Any) -> None:
    planted.config["clinical"]["Code"] = {"kind": "category"}
    planted.set("Code", lambda i, row: {"benign": "A", "malignant": "B"}[row["Outcome"]])
    finding = planted.only(leaks(planted.cohort()), "column_tells_outcome")
    assert (finding.where, finding.severity) == ("Code", "error")
    assert finding.figures["is_recoding"] is True
    assert finding.figures["auc"]["value"] == 1


def test_a_number_that_separates_the_labels_is_an_error(planted: Any) -> None:
    planted.set("Age", lambda i, row: str((20 if row["Outcome"] == "malignant" else 60) + i % 17))
    finding = planted.only(leaks(planted.cohort()), "column_tells_outcome")
    assert (finding.where, finding.severity) == ("Age", "error")
    assert finding.figures["is_recoding"] is False


def test_a_column_that_nearly_tells_the_outcome_is_a_warning(planted: Any) -> None:
    # Two of 48 on the wrong side, by little.
    planted.set("Age", lambda i, row: str((20 if row["Outcome"] == "malignant" else 60) + i % 17))
    planted.rows[0]["Age"] = "35"
    planted.rows[2]["Age"] = "61"
    finding = planted.only(leaks(planted.cohort()), "column_tells_outcome")
    assert (finding.where, finding.severity) == ("Age", "warning")
    assert 0.95 < finding.figures["auc"]["ci_low"] < finding.figures["auc"]["value"] < 0.995


def test_an_input_known_only_afterwards_is_a_warning(planted: Any) -> None:
    planted.config["clinical"]["FollowUp_months"] = {"kind": "number"}
    planted.set("FollowUp_months", lambda i, row: str(i % 13))
    finding = planted.only(leaks(planted.cohort()), "column_known_afterwards")
    assert (finding.where, finding.severity) == ("FollowUp_months", "warning")


@pytest.mark.parametrize(
    "name", ["Histology", "pathology_report", "T-stage", "pTNM", "NeoadjuvantTherapy", "date of surgery", "Diagnosis"]
)
def test_names_of_what_is_known_afterwards(name: str) -> None:
    assert known_afterwards(name) is not None


@pytest.mark.parametrize(
    "name", ["Age", "Operator", "us_node_status", "Echogenicity", "Skin_thickening", "Tissue_composition", "BIRADS"]
)
def test_names_of_what_is_known_before(name: str) -> None:
    assert known_afterwards(name) is None
