"""Literal values are R 4.2's; the commands stand beside them."""

import math

import numpy as np
import pytest

from fusion.evaluation.risk_groups import ece, hosmer_lemeshow, risk_groups

P = np.array([0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.6, 0.7, 0.85, 0.95])
Y = np.array([0, 0, 1, 0, 0, 1, 1, 0, 1, 1])
BOOTSTRAP = {"level": 0.95, "n_bootstrap": 500, "seed": 0}


def both(p):
    return np.stack([1 - p, p], axis=1)


def tied():
    i = np.arange(1, 61)
    p = np.round(1 / (1 + np.exp(-1.5 * np.sin(i))), 2)
    return p, (i * 0.618034 % 1 < 1 / (1 + np.exp(-0.4) * ((1 - p) / p) ** 0.6)).astype(np.int64)


def test_groups_with_ties_equal_r():
    # i <- 1:60; p <- round(plogis(1.5 * sin(i)), 2); table(findInterval(p, quantile(p, 1:9 / 10)))
    assert np.bincount(risk_groups(tied()[0], n_groups=10)).tolist() == [3, 8, 6, 7, 6, 6, 6, 5, 6, 7]


def test_equal_probabilities_are_one_group():
    assert risk_groups(np.repeat([0.2, 0.7], [30, 10]), n_groups=10).tolist() == [0] * 30 + [1] * 10


def test_hosmer_lemeshow_equals_r():
    # g <- findInterval(p, quantile(p, 1:9 / 10))
    # O <- tapply(y, g, sum); E <- tapply(p, g, sum); N <- tapply(y, g, length)
    # pchisq(sum((O - E)^2 / (E * (1 - E / N))), length(O), lower = FALSE)
    assert hosmer_lemeshow(Y, P).value == pytest.approx(0.472660735685, abs=1e-9)
    p, y = tied()
    estimate = hosmer_lemeshow(y, p)
    assert estimate.value == pytest.approx(0.576518550355, abs=1e-9)
    assert math.isnan(estimate.ci_low)
    assert math.isnan(estimate.ci_high)
    assert estimate.n == 60


def test_hosmer_lemeshow_rejects_calibrated_probabilities_as_often_as_it_says():
    # with two degrees of freedom fewer it would be 0.10
    rng = np.random.default_rng(0)
    p = rng.beta(2, 3, size=(400, 300))
    labels = (rng.random(p.shape) < p).astype(np.int64)
    rejected = np.mean([hosmer_lemeshow(y, row).value < 0.05 for y, row in zip(labels, p, strict=True)])
    assert rejected == pytest.approx(0.05, abs=0.03)


def test_hosmer_lemeshow_of_repeated_rows_is_that_of_patients():
    p, y = tied()
    twice = hosmer_lemeshow(np.tile(y, 2), np.concatenate([p - 0.01, p + 0.01]), patients=list(range(60)) * 2)
    assert twice.value == pytest.approx(hosmer_lemeshow(y, p).value, abs=1e-6)
    assert twice.n == 60


def test_hosmer_lemeshow_where_probabilities_are_certain():
    assert hosmer_lemeshow(np.array([0, 0, 1, 1, 0, 1]), np.array([0, 1, 1, 0, 0.4, 0.6])).value == 0
    assert math.isnan(hosmer_lemeshow(Y, Y.astype(float)).value)
    # The certain and right count for nothing: one group of 4, (2 - 1.6)^2 / (1.6 * 0.6) = 1 / 6, pchisq(1 / 6, 1)
    p = np.array([0.0] * 4 + [0.4] * 4)
    assert hosmer_lemeshow(np.array([0, 0, 0, 0, 0, 1, 0, 1]), p).value == pytest.approx(0.6830914, abs=1e-6)


def test_ece_equals_r():
    # sum(abs(O - E)) / length(p), O and E as above
    assert ece(Y, both(P), **BOOTSTRAP).value == pytest.approx(0.35, abs=1e-9)
    p, y = tied()
    assert ece(y, both(p), **BOOTSTRAP).value == pytest.approx(0.156166666667, abs=1e-9)


def test_ece_of_three_labels_is_that_of_the_top_label():
    # top labels 0, 0, 1, 2 with 0.5, 0.6, 0.7, 1; hits 1, 0, 1, 1: (0.5 + 0.6 + 0.3 + 0) / 4
    probabilities = np.array([[0.5, 0.3, 0.2], [0.6, 0.2, 0.2], [0.1, 0.7, 0.2], [0, 0, 1]])
    assert ece(np.array([0, 1, 1, 2]), probabilities, **BOOTSTRAP).value == pytest.approx(0.35)


def test_ece_of_a_calibrated_model_falls_with_patients():
    rng = np.random.default_rng(0)
    values = []
    for n in (100, 20000):
        p = rng.random(n)
        values.append(ece((rng.random(n) < p).astype(np.int64), both(p), **(BOOTSTRAP | {"n_bootstrap": 20})).value)
    assert 0.05 < values[0] < 0.2
    assert values[1] < 0.015


def test_ece_interval_is_not_narrowed_by_repeating_rows():
    once = ece(Y, both(P), **BOOTSTRAP)
    twice = ece(np.tile(Y, 2), both(np.tile(P, 2)), patients=list(range(10)) * 2, **BOOTSTRAP)
    assert (twice.value, twice.ci_low, twice.ci_high, twice.n) == pytest.approx(
        (once.value, once.ci_low, once.ci_high, 10)
    )


@pytest.mark.parametrize(
    ("labels", "p"),
    [
        (Y, P),
        (np.repeat([0, 1], 5), P),
        (np.ones(10, dtype=int), P),
        (Y, np.tile([0.0, 1.0], 5)),
        (Y, 1.0 - Y),
        (Y, np.full(10, 0.5)),
        (np.ones(1, dtype=int), np.ones(1)),
    ],
)
def test_nothing_leaves_0_and_1(labels, p):
    estimate = ece(labels, both(p), **BOOTSTRAP)
    assert 0 <= estimate.value <= 1
    if not math.isnan(estimate.ci_low):
        assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
    p_value = hosmer_lemeshow(labels, p).value
    assert math.isnan(p_value) or 0 <= p_value <= 1
