"""Literal values are R 4.2's; the commands stand beside them."""

import numpy as np
import pytest

from fusion.evaluation.loess import loess


def fitted(x, y, at=None):
    smoother = loess(x)
    return smoother.curve(smoother.moments(x, y.astype(float)).sum(0)[None], x if at is None else at)[0]


def tied():
    i = np.arange(1, 61)
    p = np.round(1 / (1 + np.exp(-1.5 * np.sin(i))), 2)
    return p, (i * 0.618034 % 1 < 1 / (1 + np.exp(-0.4) * ((1 - p) / p) ** 0.6)).astype(np.int64)


def test_equals_r_with_ties():
    # i <- 1:60; p <- round(plogis(1.5 * sin(i)), 2)
    # y <- as.integer((i * .618034) %% 1 < plogis(.4 + .6 * qlogis(p)))
    # predict(loess(y ~ p), c(.19, .3, .5, .7))
    p, y = tied()
    assert fitted(p, y, np.array([0.19, 0.3, 0.5, 0.7])) == pytest.approx(
        [0.338985593705, 0.453643879542, 0.644947115815, 0.784466433578], abs=1e-6
    )


def test_equals_r_with_ten_rows():
    # fitted(loess(y ~ p))[2:5]
    p = np.array([0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.6, 0.7, 0.85, 0.95])
    y = np.array([0, 0, 1, 0, 0, 1, 1, 0, 1, 1])
    assert fitted(p, y)[1:5] == pytest.approx([0.197327880992, 0.388851682705, 0.33452754989, 0.462182269385], abs=1e-6)


def test_equals_r_with_many_rows():
    # i <- 1:1000; x <- (i * .618034) %% 1; y <- sin(6 * x) + cos(i); predict(loess(y ~ x), c(.01, .25, .5, .77, .99))
    i = np.arange(1, 1001)
    x = i * 0.618034 % 1
    at = np.array([0.01, 0.25, 0.5, 0.77, 0.99])
    assert fitted(x, np.sin(6 * x) + np.cos(i), at) == pytest.approx(
        [0.0462245436654, 0.9440192087984, 0.1376627130538, -0.9131621162913, -0.3815754963574], abs=1e-6
    )


def test_a_parabola_is_its_own_curve():
    x = np.random.default_rng(0).random(40)
    assert fitted(x, 1 - 2 * x + 3 * x**2) == pytest.approx(1 - 2 * x + 3 * x**2, abs=1e-6)


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.8], [0.0, 0.4, 1.0]])
def test_passes_through_the_means_of_up_to_three_values(values):
    x = np.repeat(values, 4)
    y = np.arange(len(x)) % 3 > 0
    assert fitted(x, y, np.array(values)) == pytest.approx([y[x == value].mean() for value in values], abs=1e-6)


def test_a_value_that_nearly_all_rows_have_keeps_its_mean():
    x = np.array([*np.full(90, 0.3), *np.linspace(0.05, 0.95, 10)])
    y = np.arange(100) % 3 == 0
    assert fitted(x, y, np.array([0.3]))[0] == pytest.approx(y[:90].mean(), abs=0.01)


@pytest.mark.parametrize("x", [[0.5], [0.0, 1e-300, 2e-300, 1.0], 0.5 + 1e-12 * np.arange(8), 1e-8 * np.arange(20)])
def test_close_values_give_a_finite_curve(x):
    x = np.array(x)
    assert np.all(np.isfinite(fitted(x, np.arange(len(x)) % 2)))


def test_values_that_differ_by_rounding_are_one_value():
    assert fitted(0.5 + 1e-12 * np.arange(8), np.arange(8) % 4 == 0) == pytest.approx(np.full(8, 0.25), abs=1e-6)


def test_a_vertex_out_of_reach_gives_nan():
    smoother = loess(np.linspace(0, 1, 10))
    moments = smoother.moments(np.linspace(0, 1, 10), np.ones(10))
    assert np.isnan(smoother.curve(0 * moments[:1], np.array([0.5]))).all()
