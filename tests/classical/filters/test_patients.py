import numpy as np

from fusion.classical.filters.patients import patient_rows


def test_rows_of_a_patient_are_averaged_by_ascending_index() -> None:
    X = np.array([[1.0, 10.0], [5.0, 0.0], [3.0, 20.0], [8.0, 30.0]])
    values, labels = patient_rows(X, np.array([1.0, 0.0, 1.0, 1.0]), np.array([7, 2, 7, 7]))
    np.testing.assert_array_equal(values, [[5.0, 0.0], [4.0, 20.0]])
    np.testing.assert_array_equal(labels, [0.0, 1.0])


def test_equal_rows_have_their_own_value_as_mean_to_the_last_bit() -> None:
    # 0.1 added three times and divided by three is not 0.1: one column would seem to vary, and ties would break.
    X = np.full((10, 3), 0.1)
    values, _ = patient_rows(X, np.zeros(10), np.array([0, 0, 0, 1, 1, 1, 1, 1, 1, 2]))
    np.testing.assert_array_equal(values, np.full((3, 3), 0.1))


def test_no_columns() -> None:
    assert patient_rows(np.empty((4, 0)), np.zeros(4), np.array([0, 0, 1, 2]))[0].shape == (3, 0)
