from typing import Any

import pytest

from fusion.audit.missing import missing_values


def test_a_missing_value_is_a_note(planted: Any) -> None:
    planted.set("Age", lambda i, row: "" if i in (0, 1, 2) else row["Age"])
    finding = planted.only(missing_values(planted.cohort()), "missing_values")
    assert (finding.where, finding.severity) == ("Age", "note")
    assert finding.figures["by_label"] == {"benign": {"missing": 2, "n": 24}, "malignant": {"missing": 1, "n": 24}}
    assert finding.figures["by_center"] == {"north": {"missing": 2, "n": 24}, "south": {"missing": 1, "n": 24}}
    assert finding.figures["p_holm"] == pytest.approx(1)


def test_missingness_that_depends_on_the_outcome_is_a_warning(planted: Any) -> None:
    # In R: fisher <- function(n) fisher.test(matrix(c(2, n, 22, 24 - n), 2))$p.value
    # p.adjust(c(fisher(12), fisher(10), 1), "holm") is 0.01005408928 0.03467380347 1.
    malignant = [i for i in range(48) if i // 2 % 2]
    planted.set("Age", lambda i, row: "" if i in (0, 1, *malignant[:12]) else row["Age"])
    planted.set("Echo", lambda i, row: "" if i in (0, 1, *malignant[:10]) else row["Echo"])
    planted.set("Signs", lambda i, row: "" if i in (0, 2) else row["Signs"])
    findings = {finding.where: finding for finding in missing_values(planted.cohort())}
    assert {name: finding.severity for name, finding in findings.items()} == {
        "Age": "warning",
        "Echo": "warning",
        "Signs": "note",
    }
    assert findings["Age"].figures["p_holm"] == pytest.approx(0.01005408928)
    assert findings["Echo"].figures["p_holm"] == pytest.approx(0.03467380347)


def test_a_center_that_never_records_a_column_is_a_warning(planted: Any) -> None:
    planted.set("Age", lambda i, row: "" if row["Hospital"] == "south" else row["Age"])
    finding = planted.only(missing_values(planted.cohort()), "missing_values")
    assert finding.severity == "warning"
    assert finding.found.endswith("never recorded in south")


def test_a_patient_lacks_a_value_only_if_no_image_of_the_patient_has_it(planted: Any) -> None:
    planted.config["patient"] = "Patient"
    planted.set("Patient", lambda i, row: "p1" if i in (1, 5) else f"p{row['ID']}")
    planted.set("Age", lambda i, row: "" if i == 1 else row["Age"])
    assert missing_values(planted.cohort()) == []
