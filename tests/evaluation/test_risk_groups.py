"""Literal values are R 4.2's; the commands stand beside them."""

import math

import numpy as np
import pytest

from fusion.evaluation.risk_groups import ece, hosmer_lemeshow, risk_groups

# Five patients in each group.
P = np.tile([0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.6, 0.7, 0.85, 0.95], 5)
Y = np.tile([0, 0, 1, 0, 0, 1, 1, 0, 1, 1], 5)
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
    assert hosmer_lemeshow(Y, P).value == pytest.approx(5.71080899035e-07, abs=1e-15)
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
    labels, p = np.tile([0, 0, 1, 1, 0, 1], 9), np.tile([0, 1, 1, 0, 0.4, 0.6], 9)
    assert hosmer_lemeshow(labels, p).value == 0
    assert math.isnan(hosmer_lemeshow(Y, Y.astype(float)).value)
    # The certain and right count for nothing: one group of 28, (14 - 11.2)^2 / (11.2 * 0.6) = 7 / 6
    # R: pchisq(7 / 6, 1, lower = FALSE)
    p = np.repeat([0.0, 0.4], 28)
    labels = np.append(np.zeros(28, dtype=int), np.tile([0, 1], 14))
    assert hosmer_lemeshow(labels, p).value == pytest.approx(0.2800872108, abs=1e-6)


def test_neither_is_defined_below_fifty_patients():
    p, y = tied()
    for n in (1, 9, 49):
        # Of two rows each: patients are counted, not rows.
        rows, patients = np.tile(np.arange(n), 2), np.tile(np.arange(n), 2)
        error = ece(y[rows], both(p[rows]), patients=patients, **BOOTSTRAP)
        for estimate in (error, hosmer_lemeshow(y[rows], p[rows], patients=patients)):
            assert np.isnan([estimate.value, estimate.ci_low, estimate.ci_high]).all()
            assert estimate.n == n
    assert not math.isnan(ece(y[:50], both(p[:50]), **BOOTSTRAP).value)
    assert not math.isnan(hosmer_lemeshow(y[:50], p[:50]).value)


def test_ece_equals_r():
    # sum(abs(O - E)) / length(p), O and E as above
    assert ece(Y, both(P), **BOOTSTRAP).value == pytest.approx(0.35, abs=1e-9)
    p, y = tied()
    assert ece(y, both(p), **BOOTSTRAP).value == pytest.approx(0.156166666667, abs=1e-9)


def test_ece_of_three_labels_is_that_of_the_top_label():
    # top labels 0, 0, 1, 2 with 0.5, 0.6, 0.7, 1; hits 1, 0, 1, 1: (0.5 + 0.6 + 0.3 + 0) / 4
    probabilities = np.array([[0.5, 0.3, 0.2], [0.6, 0.2, 0.2], [0.1, 0.7, 0.2], [0, 0, 1]])
    estimate = ece(np.tile([0, 1, 1, 2], 13), np.tile(probabilities, (13, 1)), **BOOTSTRAP)
    assert estimate.value == pytest.approx(0.35)


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
    twice = ece(np.tile(Y, 2), both(np.tile(P, 2)), patients=list(range(50)) * 2, **BOOTSTRAP)
    assert (twice.value, twice.ci_low, twice.ci_high, twice.n) == pytest.approx(
        (once.value, once.ci_low, once.ci_high, 50)
    )


@pytest.mark.parametrize(
    ("labels", "p"),
    [
        (Y, P),
        (np.repeat([0, 1], 25), np.sort(P)),
        (np.ones(50, dtype=int), P),
        (Y, np.tile([0.0, 1.0], 25)),
        (Y, 1.0 - Y),
        (Y, np.full(50, 0.5)),
    ],
)
def test_nothing_leaves_0_and_1(labels, p):
    estimate = ece(labels, both(p), **BOOTSTRAP)
    assert 0 <= estimate.value <= 1
    if not math.isnan(estimate.ci_low):
        assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
    p_value = hosmer_lemeshow(labels, p).value
    assert math.isnan(p_value) or 0 <= p_value <= 1
