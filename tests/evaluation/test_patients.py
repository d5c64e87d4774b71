import numpy as np
import pytest

from fusion.evaluation.patients import patient_index, totals


def test_rows_are_numbered_by_patient_in_order_of_appearance():
    assert patient_index(["b", "a", "b"], 3).tolist() == [0, 1, 0]
    assert patient_index(None, 3).tolist() == [0, 1, 2]


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="one per row, 3, came 2"):
        patient_index(["a", "b"], 3)


def test_totals_by_patient():
    assert totals(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([0, 1, 0])).tolist() == [[6, 8], [3, 4]]
