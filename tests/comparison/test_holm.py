import math

import pytest

from fusion.comparison.holm import holm


def test_adjusted_p_values_are_those_of_r() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.5, 0.04), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005, 0.5, 0.04]) == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.5, 0.12])


def test_an_undefined_test_is_not_counted() -> None:
    # R: p.adjust(c(0.01, NA, 0.03), "holm")
    first, undefined, last = holm([0.01, math.nan, 0.03])
    assert (first, last) == pytest.approx((0.02, 0.03))
    assert math.isnan(undefined)
    assert holm([]) == []
    assert math.isnan(holm([math.nan])[0])


def test_none_exceeds_one() -> None:
    assert holm([0.7, 0.9, 1.0]) == [1.0, 1.0, 1.0]
