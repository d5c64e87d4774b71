import numpy as np

from fusion.tabular.redundancy import keep_apart

# 0 and 1 are close, 1 and 2 are, 0 and 2 are not.
CHAIN = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)


def test_the_first_in_the_order_stays_and_its_neighbors_go() -> None:
    np.testing.assert_array_equal(keep_apart(CHAIN, range(3)), [0, 2])
    np.testing.assert_array_equal(keep_apart(CHAIN, [1, 0, 2]), [1])
    np.testing.assert_array_equal(keep_apart(CHAIN, [2, 1, 0]), [0, 2])


def test_nothing_stays_of_nothing() -> None:
    assert keep_apart(np.zeros((0, 0), dtype=bool), []).shape == (0,)
