from pathlib import Path

from fusion.cohorts.summary import summarize
from fusion.records import Case, ClinicalColumn, Cohort, Value


def case(case_id: str, patient: str, center: str, label: str | None, mask: bool, clinical: dict[str, Value]) -> Case:
    return Case(
        case_id=case_id,
        patient_id=patient,
        center=center,
        image=Path("image.png") if case_id != "3" else None,
        mask=Path("mask.png") if mask else None,
        label=label,
        clinical=clinical,
    )


CASES = (
    case("1", "a", "south", "benign", True, {"Age": 50.0, "Halo": None}),
    case("2", "a", "south", "benign", False, {"Age": None, "Halo": 0.0}),
    case("3", "b", "south", "malignant", True, {}),
    case("4", "c", "north", None, True, {"Age": 60.0, "Halo": 1.0}),
)


def cohort(*cases: Case) -> Cohort:
    columns = (ClinicalColumn(name="Age", kind="number"), ClinicalColumn(name="Halo", kind="yes_no"))
    return Cohort(name="small", cases=cases, label_names=("benign", "malignant"), clinical_columns=columns)


def test_counts_are_by_center_and_over_all() -> None:
    north, south, everyone = summarize(cohort(*CASES))
    assert (north.center, south.center, everyone.center) == ("north", "south", "all")
    assert (south.n_patients, south.n_cases, everyone.n_patients, everyone.n_cases) == (2, 3, 3, 4)
    assert south.patients_by_label == {"benign": 1, "malignant": 1, "": 0}
    assert south.cases_by_label == {"benign": 2, "malignant": 1, "": 0}
    assert everyone.patients_by_label == {"benign": 1, "malignant": 1, "": 1}
    assert (south.n_without_image, south.n_without_mask, north.n_without_mask) == (1, 1, 0)
    assert south.n_missing == {"Age": 2, "Halo": 2}
    assert north.n_missing == {"Age": 0, "Halo": 0}


def test_one_center_needs_no_total_and_a_labeled_cohort_no_unlabeled() -> None:
    (only,) = summarize(cohort(*CASES[:3]))
    assert only.center == "south"
    assert only.patients_by_label == {"benign": 1, "malignant": 1}
