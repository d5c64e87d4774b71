import numpy as np

from fusion.classical.rows import Outcomes
from fusion.records import Case


def case(case_id: str, patient_id: str, label: str) -> Case:
    return Case(case_id=case_id, patient_id=patient_id, center="A", image=None, mask=None, label=label, clinical={})


CASES = [case("1", "z", "no"), case("2", "a", "yes"), case("3", "z", "no"), case("4", "b", "no"), case("5", "z", "no")]


def test_every_patient_counts_the_same_however_many_images() -> None:
    outcomes = Outcomes.of(CASES, "yes")
    # Three rows of z share what a's and b's one row have; five rows of mean 1 are 5 / 3 a patient.
    np.testing.assert_allclose(outcomes.weights, [5 / 9, 5 / 3, 5 / 9, 5 / 3, 5 / 9])
    assert outcomes.patients.tolist() == [2, 0, 2, 1, 2]
    assert outcomes.patients.dtype == np.int64


def test_the_positive_label_is_1() -> None:
    assert Outcomes.of(CASES, "yes").y.tolist() == [0, 1, 0, 0, 0]
    assert Outcomes.of(CASES, "no").y.tolist() == [1, 0, 1, 1, 1]
    assert Outcomes.of(CASES, "no").y.dtype == np.float64


def test_some_rows_keep_the_ratios_of_their_weights() -> None:
    outcomes = Outcomes.of(CASES, "yes")
    some = outcomes.of_rows(np.array([0, 1, 2, 4]))
    assert (some.y.tolist(), some.patients.tolist()) == ([0, 1, 0, 0], [2, 0, 2, 2])
    # Two patients, two rows' weight each.
    np.testing.assert_allclose(some.weights, [2 / 3, 2, 2 / 3, 2 / 3])
