"""Literal values are those of R's psych 2.2.9, to which pingouin 0.7.0 agrees in every digit shown:

Rscript -e 'library(psych); m <- matrix(c(9,2,5,8, 6,1,3,2, ...), ncol=4, byrow=TRUE)
            print(ICC(m, lmer=FALSE)$results[2:3, c(2,7,8)], digits=12)'
"""

from typing import Any

import numpy as np
import pytest

from fusion.radiomics.icc import FORMS, intraclass_correlation

NAN = float("nan")
# Table 2 of Shrout & Fleiss, Psychol Bull 86:420, 1979; they print 0.29 and 0.71.
SHROUT = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
TEN = np.array(
    [
        *([-6, -11, -15], [-4, -8, -25], [-3, -5, -7], [1, 4, 7], [11, 12, 13]),
        *([6, -5, -1], [-11, -3, -14], [-8, -4, -11], [1, 9, 0], [8, 22, 9]),
    ],
    dtype=float,
)
POOR = np.array(
    [
        *([1.17, 0.72], [-2.0, 0.27], [-1.1, 0.03], [0.04, -1.99]),
        *([-0.23, -0.26], [0.96, -1.18], [0.74, -1.1], [-0.33, -0.84]),
    ]
)


def agreement(values: Any, form: str) -> list[float]:
    """ICC and limits of one feature, (N, k)."""
    found = intraclass_correlation(np.asarray(values, dtype=float)[:, :, None], form=form)
    return [float(column[0]) for column in (found.icc, found.low, found.high)]


@pytest.mark.parametrize(
    ("values", "form", "expected"),
    [
        (SHROUT, "2,1", [0.289763779528, 0.0187865133747, 0.761084369649]),
        (SHROUT, "3,1", [0.714840714841, 0.3424647650339, 0.945858259955]),
        (TEN, "2,1", [0.7029938059187886, 0.37878001327259275, 0.9053036314901133]),
        (TEN, "3,1", [0.739698747193859, 0.4287754416145702, 0.9194782289067237]),
        (POOR, "2,1", [-0.28225822018554053, -0.8834097233067829, 0.5057582268504925]),
        (POOR, "3,1", [-0.26676043644908065, -0.792300853719334, 0.486020496140559]),
    ],
)
def test_it_is_that_of_psych_and_pingouin(values: Any, form: str, expected: list[float]) -> None:
    assert agreement(values, form) == pytest.approx(expected, abs=1e-10)


def test_features_do_not_see_each_other_and_units_do_not_matter() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(12, 1, 5)) + 0.5 * draw.normal(size=(12, 3, 5))
    together = intraclass_correlation(values, form="2,1")
    scaled = intraclass_correlation(1e3 + 1e-3 * values, form="2,1")
    for feature in range(5):
        assert agreement(values[:, :, feature], "2,1")[0] == pytest.approx(together.icc[feature], rel=1e-12)
    assert scaled.icc == pytest.approx(together.icc, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_perfect_agreement_is_one(form: str) -> None:
    once = np.array([0.1, 0.7, 0.3, 1e3])
    assert agreement(np.stack([once] * 3, axis=1), form) == [1.0, 1.0, 1.0]


def test_what_a_measurement_adds_to_all_counts_against_agreement_only() -> None:
    once = np.array([1.0, 2.0, 3.0, 4.0])
    shifted = np.stack([once, once + 1.0], axis=1)
    assert agreement(shifted, "3,1") == [1.0, 1.0, 1.0]
    # Mean squares: cases 2 * 5 / 3, measurements 4 * 2 * 0.25 = 2, rest 0: (10/3) / (10/3 + 2 * 2 / 4).
    assert agreement(shifted, "2,1")[0] == pytest.approx((10 / 3) / (10 / 3 + 1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [0.0, 0.1, -1e9])
def test_a_constant_feature_has_none(form: str, value: float) -> None:
    assert np.isnan(agreement(np.full((7, 3), value), form)).all()


def test_a_case_with_a_missing_value_is_left_out_of_that_feature_only() -> None:
    holes = SHROUT.copy()
    holes[1, 2] = NAN
    holes[4, 0] = np.inf
    values = np.stack([SHROUT, holes, SHROUT * 2], axis=2)
    found = intraclass_correlation(values, form="2,1")
    assert found.icc[0] == pytest.approx(0.289763779528)
    assert found.icc[2] == pytest.approx(0.289763779528)
    assert found.icc[1] == pytest.approx(agreement(SHROUT[[0, 2, 3, 5]], "2,1")[0], rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_a_feature_that_only_the_measurement_moves_has_none(form: str) -> None:
    assert np.isnan(agreement([[1.0, 2.0, 4.0]] * 3, form)).all()


def test_limits_are_finite_where_the_measurements_contradict_each_other() -> None:
    for seed in range(200):
        values = np.random.default_rng(seed).normal(size=(3, 2)) + np.array([0.0, 3.0])
        for form in FORMS:
            assert np.isfinite(agreement(values, form)).all()


@pytest.mark.parametrize("shape", [(1, 3, 2), (0, 3, 2), (5, 1, 2), (5, 3, 0)])
def test_too_little_to_measure_has_none(shape: tuple[int, int, int]) -> None:
    found = intraclass_correlation(np.random.default_rng(0).normal(size=shape), form="2,1")
    assert found.icc.shape == found.low.shape == (shape[2],)
    assert np.isnan(found.icc).all()
