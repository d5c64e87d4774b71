import numpy as np

from fusion.classical.filters.variance import of_variance, varying


def test_columns_above_the_bound_stay() -> None:
    # Variances 1, 0.25 and 4, divided by P.
    values = np.array([[-1.0, 0.0, 2.0], [1.0, 1.0, -2.0]])
    assert of_variance(values, min_variance=0.25).tolist() == [0, 2]
    assert of_variance(values, min_variance=0.0).tolist() == [0, 1, 2]
    assert of_variance(values, min_variance=4.0).tolist() == []


def test_rounding_is_no_variance() -> None:
    values = np.array([[0.1, 1e6, 1e-9], [0.1, 1e6, 2e-9], [0.1, 1e6 * (1 + 1e-15), 3e-9]])
    # The variance of seven times 0.1 is not 0 in floating point.
    assert np.full(7, 0.1).var() > 0
    assert of_variance(np.full((7, 1), 0.1), min_variance=0.0).tolist() == []
    assert varying(values).tolist() == [False, False, True]


def test_zeros_do_not_vary() -> None:
    assert varying(np.zeros((3, 2))).tolist() == [False, False]
