"""Literal values are R 4.2's; the commands stand beside them."""

import numpy as np
import pytest

from fusion.evaluation.proportion import binary_shares, proportion, share, wilson_interval


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # prop.test(hits, n, correct = FALSE)$conf.int
        (8, 10, 0.490162471537, 0.943317848546),
        (0, 10, 0.0, 0.277532799863),
        (10, 10, 0.722467200137, 1.0),
        # Newcombe, Stat Med 1998;17:857-872, Table I: .2553 to .3662 and .0624 to .1605.
        (81, 263, 0.255288519878, 0.366209576983),
        (15, 148, 0.0623863995307, 0.160487241723),
    ],
)
def test_wilson_equals_r(hits, n, low, high):
    assert wilson_interval(hits / n, n, level=0.95) == pytest.approx((low, high), abs=1e-10)
    rows = np.arange(n) < hits
    estimate = proportion(rows, np.ones(n), level=0.95, patients=np.arange(n))
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((low, high), abs=1e-10)


def test_proportion_counts_patients_not_images():
    hits, patients = np.repeat((np.arange(10) < 8).astype(float), 3), np.repeat(np.arange(10), 3)
    estimate = proportion(hits, np.ones(30), level=0.95, patients=patients)
    assert (estimate.value, estimate.n) == (0.8, 10)
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((0.490162471537, 0.943317848546), abs=1e-10)


def test_patients_who_all_agree_count_once_each():
    patients = np.repeat(np.arange(10), 3)
    for hits, limits in ((np.ones(30), (0.722467200137, 1.0)), (np.zeros(30), (0.0, 0.277532799863))):
        estimate = proportion(hits, np.ones(30), level=0.95, patients=patients)
        assert (estimate.ci_low, estimate.ci_high) == pytest.approx(limits, abs=1e-10)


def test_hits_outside_the_denominator_do_not_count():
    part = share(np.array([True, True, False, True]), np.array([True, True, True, False]), np.arange(4))
    assert part == (pytest.approx(2 / 3), pytest.approx(3), 3)
    assert part.complement == (pytest.approx(1 / 3), pytest.approx(3), 3)


def test_a_share_of_nobody_is_undefined():
    estimate = proportion(np.ones(3), np.zeros(3), level=0.95, patients=np.arange(3))
    assert np.isnan([estimate.value, estimate.ci_low, estimate.ci_high]).all()
    assert estimate.n == 0


def test_no_interval_of_a_share_leaves_the_unit_interval():
    rng = np.random.default_rng(0)
    for n in (1, 2, 10, 30):
        for _ in range(40):
            positive, called = rng.random(n) < 0.5, rng.random(n) < rng.random()
            patients = rng.integers(0, n, n)
            _, patients = np.unique(patients, return_inverse=True)
            for estimate in binary_shares(positive, called, level=0.999, patients=patients).values():
                if estimate.n:
                    assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
