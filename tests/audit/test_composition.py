from typing import Any

from fusion.audit.composition import composition


def test_a_center_with_one_label(planted: Any) -> None:
    planted.set("Hospital", lambda i, row: "west" if row["Outcome"] == "malignant" and i % 2 else row["Hospital"])
    findings = {(finding.kind, finding.where): finding for finding in composition(planted.cohort())}
    assert findings["center_with_one_label", "west"].severity == "warning"
    assert findings["center_with_one_label", "west"].figures == {"patients": {"benign": 0, "malignant": 12}}
    assert ("center_with_one_label", "south") in findings
    assert ("center_with_few_patients", "north") not in findings


def test_a_center_with_few_patients(planted: Any) -> None:
    planted.set("Hospital", lambda i, row: "west" if i < 6 else row["Hospital"])
    finding = planted.only(composition(planted.cohort()), "center_with_few_patients")
    assert (finding.where, finding.severity) == ("west", "note")
    assert finding.found == "6 patients: 4 benign, 2 malignant"


def test_the_prevalence_of_centers(planted: Any) -> None:
    # North 4 of 24 malignant, south 20 of 24: chisq.test(matrix(c(20, 4, 4, 20), 2))$p.value in R is 1.490233579e-05.
    planted.set("Outcome", lambda i, row: "malignant" if (i // 2 % 6 == 0) != (i % 2 == 1) else "benign")
    finding = planted.only(composition(planted.cohort()), "prevalence_differs_between_centers")
    assert abs(finding.figures["p"] - 1.490233579e-05) < 1e-13


def test_cases_without_mask_or_image(planted: Any) -> None:
    planted.config.update(mask="{Mask}", image="{Image}")
    planted.set("Mask", lambda i, row: "" if i in (2, 3) else f"{row['ID']}_mask.png")
    planted.set("Image", lambda i, row: "" if i == 3 else f"{row['ID']}.png")
    findings = {finding.kind: finding for finding in composition(planted.cohort())}
    assert findings["no_image"].cases == ("c3",)
    assert findings["no_mask"].cases == ("c2",)
    assert len(findings) == 2
