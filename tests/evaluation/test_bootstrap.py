"""Literal values are R 4.2's with boot 1.3-28.1; the commands stand beside them."""

import math

import numpy as np
import pytest

from fusion.evaluation import bootstrap
from fusion.evaluation.bootstrap import (
    bca_interval,
    bca_of_totals,
    bca_of_weights,
    bootstrap_totals,
    bootstrap_weights,
    jackknife_contributions,
    percentile_interval,
)

# u <- ((1:1999) * 0.6180339887498949) %% 1; t <- 0.6 + 0.35 * u^0.7; L <- ((1:20) / 5 - 1)^3
REPLICATES = 0.6 + 0.35 * (np.arange(1, 2000) * 0.6180339887498949 % 1) ** 0.7
CONTRIBUTIONS = (np.arange(1, 21) / 5 - 1) ** 3
HITS = np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])
OF = np.array([5.0, 2, 5, 3, 5, 10, 4, 6, 9, 3, 6, 11])
SETTINGS = {"level": 0.95, "n_bootstrap": 500, "seed": 0}


def ratio(sums):
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), math.nan), where=sums[:, 1] > 0)


def test_every_replicate_keeps_the_size_of_every_stratum():
    strata = np.array([0, 1, 0, 1, 1, 0, 2])
    weights = np.concatenate(list(bootstrap_weights(strata, n_bootstrap=50, seed=0)))
    assert weights.shape == (50, 7)
    for stratum, size in ((0, 3), (1, 3), (2, 1)):
        assert (weights[:, strata == stratum].sum(1) == size).all()
    assert len(np.unique(weights, axis=0)) > 20


def test_chunks_add_up_to_all_replicates(monkeypatch):
    monkeypatch.setattr(bootstrap, "_CHUNK_ELEMENTS", 20)
    chunks = list(bootstrap_weights(np.zeros(10, dtype=int), n_bootstrap=7, seed=0))
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 1]


def test_totals_repeat_with_the_seed():
    totals, strata = np.arange(10.0)[:, None], np.zeros(10, dtype=int)
    one, same, other = (bootstrap_totals(totals, strata, n_bootstrap=100, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert one.mean() == pytest.approx(45, abs=3)


def test_percentile_interval_leaves_out_undefined_replicates():
    assert percentile_interval(np.append(np.arange(101.0), math.nan), level=0.9) == pytest.approx((5, 95))
    assert np.isnan(percentile_interval(np.array([math.nan]), level=0.9)).all()


@pytest.mark.parametrize(
    ("level", "boot_limits", "quantiles"),
    [
        # boot:::bca.ci(NULL, conf = level, t0 = 0.83, t = t, L = L), which interpolates on the normal scale; and
        # quantile(t, pnorm(z0 + (z0 + z) / (1 - a * (z0 + z))), type = 6) with its z0 = 0.1225654, a = 0.0780170
        (0.9, (0.67379578515656, 0.94638861677094), (0.67379570535916, 0.94638887020315)),
        (0.95, (0.65390083253395, 0.94893870962606), (0.65390074003209, 0.94893909797995)),
    ],
)
def test_bca_of_given_replicates_equals_boot(level, boot_limits, quantiles):
    limits = bca_interval(0.83, REPLICATES, CONTRIBUTIONS, level=level)
    assert limits == pytest.approx(quantiles, abs=1e-12)
    assert limits == pytest.approx(boot_limits, abs=1e-6)


def test_contributions_equal_those_of_boot():
    # x <- c(0.2,0.5,0.9,1.1,1.4,2.0,2.2,3.7,5.1,9.6)
    # empinf(data = x, statistic = function(d, i) mean(d[i]), stype = "i", type = "jack"), over n; a = 0.0819810512974
    x = np.array([0.2, 0.5, 0.9, 1.1, 1.4, 2.0, 2.2, 3.7, 5.1, 9.6])
    left_out = (x.sum() - x) / 9
    contributions = jackknife_contributions(left_out, np.zeros(10, dtype=int))
    expected = [-2.47, -2.17, -1.77, -1.57, -1.27, -0.67, -0.47, 1.03, 2.43, 6.93]
    np.testing.assert_allclose(10 * contributions, expected)
    assert bootstrap._acceleration(contributions) == pytest.approx(0.08198105129739, abs=1e-13)


def test_contributions_of_two_strata_by_hand():
    # Mean of (0, 2, 4) minus mean of (1, 5); each stratum is centered, and scaled by its own (n - 1) / n.
    left_out = np.array([3 - 3, 2 - 3, 1 - 3, 2 - 5, 2 - 1])
    contributions = jackknife_contributions(left_out.astype(float), np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(contributions, [-2 / 3, 0, 2 / 3, 1, -1])


def test_bca_of_a_ratio_agrees_with_boot():
    # d <- data.frame(h, m); g <- function(d, i) sum(d$h[i]) / sum(d$m[i]); L <- empinf(data = d, statistic = g,
    # stype = "i", type = "jack"); set.seed(2); boot.ci(boot(d, g, 99999), type = "bca", L = L): 0.6429 to 0.8551
    totals = np.stack([HITS, OF], axis=1)
    limits = bca_of_totals(totals, np.zeros(12, dtype=int), ratio, level=0.95, n_bootstrap=40_000, seed=0)
    assert limits == pytest.approx((0.64285714285714, 0.85507246376812), abs=0.004)


def test_totals_and_weights_of_the_same_statistic_agree():
    totals, strata = np.stack([HITS, OF], axis=1), np.repeat([0, 1], 6)
    by_weights = bca_of_weights(strata, lambda weights: ratio(weights @ totals), **SETTINGS)
    assert bca_of_totals(totals, strata, ratio, **SETTINGS) == pytest.approx(by_weights)


def test_replicates_equal_to_the_value_count_half():
    # 200 below, 600 equal, 200 above: z0 = 0 and a = 0, so the limits are plain quantiles.
    replicates = np.repeat([0.1, 0.5, 0.8], [200, 600, 200])
    assert bca_interval(0.5, replicates, np.array([-1.0, 1]), level=0.95) == (0.1, 0.8)
    assert bca_interval(0.5 + 1e-14, replicates, np.array([-1.0, 1]), level=0.5)[0] == 0.5


def test_replicates_that_are_all_the_same_give_no_interval():
    assert np.isnan(bca_interval(1.0, np.full(100, 1.0), CONTRIBUTIONS, level=0.95)).all()
    assert np.isnan(bca_interval(1.0, np.full(100, 1 - 1e-15), CONTRIBUTIONS, level=0.95)).all()
    totals = np.ones((10, 2))
    assert np.isnan(bca_of_totals(totals, np.zeros(10, dtype=int), ratio, **SETTINGS)).all()


def test_replicates_on_one_side_give_percentiles_that_hold_the_value():
    replicates = np.linspace(0.2, 0.6, 101)
    assert bca_interval(0.7, replicates, CONTRIBUTIONS, level=0.9) == pytest.approx((0.22, 0.7))
    assert bca_interval(0.1, replicates, CONTRIBUTIONS, level=0.9) == pytest.approx((0.1, 0.58))


def test_a_correction_that_would_lose_the_value_is_widened_to_it():
    low, high = bca_interval(0.985, np.linspace(0, 1, 1001), np.zeros(5), level=0.95)
    assert low == 0.985
    assert 0.985 < high <= 1


def test_undefined_replicates_are_left_out_and_an_undefined_value_has_no_interval():
    with_nan = np.append(REPLICATES, [math.nan] * 7)
    expected = bca_interval(0.83, REPLICATES, CONTRIBUTIONS, level=0.95)
    assert bca_interval(0.83, with_nan, CONTRIBUTIONS, level=0.95) == expected
    assert np.isnan(bca_interval(math.nan, REPLICATES, CONTRIBUTIONS, level=0.95)).all()
    assert np.isnan(bca_interval(0.83, np.full(3, math.nan), CONTRIBUTIONS, level=0.95)).all()


def test_the_only_patient_of_a_stratum_adds_nothing():
    contributions = jackknife_contributions(np.array([math.nan, 1.0, 2.0]), np.array([0, 1, 1]))
    np.testing.assert_allclose(contributions, [0, 0.25, -0.25])


def test_extreme_levels_and_skews_stay_among_the_replicates():
    skewed = np.append(np.zeros(30), 1.0)
    for value in (0.61, 0.83, 0.949):
        for level in (0.5, 0.999999):
            low, high = bca_interval(value, REPLICATES, skewed, level=level)
            assert REPLICATES.min() <= low <= value <= high <= REPLICATES.max()


def test_many_patients_are_left_out_in_random_blocks_within_strata(monkeypatch):
    monkeypatch.setattr(bootstrap, "_MOST_BLOCKS", 40)
    strata = np.repeat([0, 1], [95, 8])
    blocks = bootstrap._blocks(strata, seed=0)
    assert np.bincount(blocks).tolist() == [5] * 15 + [4] * 5 + [1] * 8
    assert (np.diff(blocks[:95]) == 1).mean() < 0.5
    left_out = np.concatenate(list(bootstrap._without_each_block(blocks)))
    assert left_out.shape == (28, 103)
    assert (left_out.sum(1) == 103 - np.bincount(blocks)).all()


def test_blocks_and_single_patients_give_nearly_the_same_interval(monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.exponential(size=400)

    def mean(weights):
        return weights @ values / weights.sum(1)

    strata = np.zeros(400, dtype=int)
    single = bca_of_weights(strata, mean, **SETTINGS)
    monkeypatch.setattr(bootstrap, "_MOST_BLOCKS", 100)
    assert bca_of_weights(strata, mean, **SETTINGS) == pytest.approx(single, abs=0.01)
