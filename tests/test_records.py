from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fusion.records import Attribution, Case, ClinicalColumn, Cohort, FeatureTable, Fold, Predictions


def case(case_id: str, patient_id: str, label: str | None) -> Case:
    return Case(case_id=case_id, patient_id=patient_id, center="A", image=None, mask=None, label=label, clinical={})


def cohort(*cases: Case, columns: tuple[ClinicalColumn, ...] = ()) -> Cohort:
    return Cohort(name="small", cases=cases, label_names=("benign", "malignant"), clinical_columns=columns)


def fold(**changes: Any) -> Fold:
    parts = {"train": frozenset("ab"), "validation": frozenset("c"), "test": frozenset("de")}
    return Fold(number=3, seed=0, **(parts | changes))


def predictions(**changes: Any) -> Predictions:
    columns: dict[str, Any] = {
        "model": "m",
        "label_names": ("benign", "malignant"),
        "patient_ids": ("p1", "p1", "p2"),
        "centers": ("A", "A", "B"),
        "parts": ("test", "train", "test"),
        "folds": (0, 1, 0),
        "labels": ("benign", "benign", ""),
        "probabilities": np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]),
    }
    return Predictions(**(columns | changes))


def attribution(**changes: Any) -> Attribution:
    columns: dict[str, Any] = {
        "case_ids": ("a", "b"),
        "branch": "radiomics",
        "names": ("x", "y", "z"),
        "values": np.zeros((2, 3)),
        "completeness_error": np.zeros(2),
    }
    return Attribution(**(columns | changes))


@pytest.mark.parametrize(("kind", "levels"), [("ordered", ()), ("category", ("a",)), ("number", ("a",))])
def test_levels_belong_to_an_ordered_column(kind: Any, levels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="'grade': levels belong to an ordered column"):
        ClinicalColumn(name="grade", kind=kind, levels=levels)


def test_a_column_is_patient_data_or_an_ultrasound_finding() -> None:
    assert ClinicalColumn(name="age", kind="number").source == "patient"
    assert ClinicalColumn(name="edge", kind="category", source="ultrasound").source == "ultrasound"
    source: Any = "sonography"
    with pytest.raises(ValueError, match="'edge': source 'sonography' is none of"):
        ClinicalColumn(name="edge", kind="category", source=source)


def test_a_cohort_groups_the_cases_of_a_patient_in_table_order() -> None:
    made = cohort(case("3", "p2", "benign"), case("1", "p1", None), case("2", "p2", "benign"))
    assert list(made.patients) == ["p2", "p1"]
    assert [view.case_id for view in made.patients["p2"]] == ["3", "2"]


def test_a_cohort_refuses_a_case_id_twice() -> None:
    with pytest.raises(ValueError, match=r"duplicate case id: \['1'\]"):
        cohort(case("1", "p1", "benign"), case("1", "p2", "benign"))


def test_a_cohort_refuses_a_clinical_column_twice() -> None:
    column = ClinicalColumn(name="age", kind="number")
    with pytest.raises(ValueError, match=r"duplicate clinical column: \['age'\]"):
        cohort(case("1", "p1", "benign"), columns=(column, column))


@pytest.mark.parametrize("other", ["malignant", None])
def test_a_cohort_refuses_a_patient_with_two_labels(other: str | None) -> None:
    with pytest.raises(ValueError, match=r"patient 'p1' has the labels 'benign' and"):
        cohort(case("1", "p1", "benign"), case("2", "p1", other))


def test_a_cohort_refuses_a_label_outside_its_names() -> None:
    with pytest.raises(ValueError, match=r"case '1': label 'Benign' is none of \('benign', 'malignant'\)"):
        cohort(case("1", "p1", "Benign"))


def test_a_cohort_refuses_a_score_that_is_no_level_of_the_reader() -> None:
    scored = replace(case("1", "p1", "benign"), reader_score="4d")
    with pytest.raises(ValueError, match=r"case '1': reader's score '4d' is none of \('3', '4a'\)"):
        replace(cohort(case("1", "p1", "benign")), cases=(scored,), reader_column="BIRADS", reader_levels=("3", "4a"))


def test_predictions_are_put_below_each_other() -> None:
    first, second = predictions(), predictions(folds=(2, 3, 2))
    joined = Predictions.concatenate([first, second])
    assert joined.folds == (0, 1, 0, 2, 3, 2)
    assert joined.patient_ids == first.patient_ids + second.patient_ids
    assert np.array_equal(joined.probabilities, np.concatenate([first.probabilities, second.probabilities]))


@pytest.mark.parametrize("shape", [(3, 2), (2, 2), (2,), (2, 3, 1)])
def test_a_feature_table_refuses_a_shape_that_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"ids and names ask for \(2, 3\)"):
        FeatureTable(case_ids=("a", "b"), names=("x", "y", "z"), values=np.zeros(shape))


def test_a_feature_table_refuses_duplicates() -> None:
    with pytest.raises(ValueError, match=r"duplicate case id: \['a'\]"):
        FeatureTable(case_ids=("a", "a"), names=("x",), values=np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"duplicate feature: \['x'\]"):
        FeatureTable(case_ids=("a",), names=("x", "x"), values=np.zeros((1, 2)))


def test_a_fold_knows_the_part_of_a_patient() -> None:
    assert [fold().part_of(patient) for patient in "acef"] == ["train", "validation", "test", None]


@pytest.mark.parametrize(("part", "shared"), [("validation", "a"), ("test", "b"), ("test", "c")])
def test_a_fold_refuses_a_patient_in_two_parts(part: str, shared: str) -> None:
    with pytest.raises(ValueError, match=rf"fold 3: patients in two parts: \['{shared}'\]"):
        fold(**{part: frozenset({"z", shared})})


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_fold_refuses_an_empty_part(part: str) -> None:
    with pytest.raises(ValueError, match=r"fold 3: a part without patients"):
        fold(**{part: frozenset()})


def test_a_fold_may_do_without_validation() -> None:
    assert fold(validation=frozenset()).validation == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"centers": ("A", "B")},
        {"parts": ("test",) * 4},
        {"folds": (0, 1)},
        {"labels": ()},
        {"case_ids": ("1", "2")},
        {"probabilities": np.full((3, 3), 1 / 3)},
        {"probabilities": np.full((2, 2), 0.5)},
        {"label_names": ("benign",), "labels": ("", "", "")},
    ],
)
def test_predictions_refuse_columns_of_other_lengths(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="columns are not all 3 long"):
        predictions(**changes)


def test_predictions_refuse_an_unknown_label() -> None:
    with pytest.raises(ValueError, match=r"labels \['cyst'\] are none of"):
        predictions(labels=("benign", "benign", "cyst"))


@pytest.mark.parametrize("row", [[1.1, -0.1], [0.5, 0.4], [np.nan, np.nan], [np.nan, 1.0], [np.inf, 0.0], [0.0, 0.0]])
def test_predictions_refuse_what_is_no_probability(row: list[float]) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        predictions(probabilities=np.array([[0.9, 0.1], [0.8, 0.2], row]))


def test_predictions_refuse_a_negative_probability_among_three() -> None:
    thirds = np.full((3, 3), 1 / 3)
    thirds[1] = 0.6, 0.6, -0.2
    with pytest.raises(ValueError, match="must lie in"):
        predictions(label_names=("benign", "malignant", "cyst"), probabilities=thirds)


def test_predictions_refuse_a_patient_twice_in_a_fold() -> None:
    with pytest.raises(ValueError, match=r"duplicate row \(id, fold\): \[\('p1', 0\)\]"):
        predictions(folds=(0, 0, 0))
    with pytest.raises(ValueError, match=r"duplicate row \(id, fold\): \[\('v', 0\)\]"):
        predictions(case_ids=("v", "w", "v"))


def test_predictions_by_case_may_hold_a_patient_twice_in_a_fold() -> None:
    assert predictions(folds=(0, 0, 0), case_ids=("1", "2", "3")).case_ids == ("1", "2", "3")


def test_select_keeps_the_rows_together() -> None:
    picked = predictions(case_ids=("1", "2", "3")).select(part == "test" for part in predictions().parts)
    assert picked.case_ids == ("1", "3")
    assert (picked.patient_ids, picked.centers) == (("p1", "p2"), ("A", "B"))
    assert (picked.parts, picked.folds, picked.labels) == (("test", "test"), (0, 0), ("benign", ""))
    assert picked.probabilities.tolist() == [[0.9, 0.1], [0.3, 0.7]]
    assert (picked.model, picked.label_names) == ("m", ("benign", "malignant"))


def test_select_may_leave_nothing() -> None:
    nothing = predictions().select([False] * 3)
    assert nothing.patient_ids == ()
    assert nothing.case_ids is None
    assert nothing.probabilities.shape == (0, 2)


@pytest.mark.parametrize("changes", [{"values": np.zeros((3, 2))}, {"completeness_error": np.zeros(3)}])
def test_an_attribution_refuses_a_shape_that_does_not_fit(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ids and names ask for \(2, 3\)"):
        attribution(**changes)
    assert attribution().branch == "radiomics"
