import math

import numpy as np
import pytest

from fusion.evaluation import bootstrap
from fusion.evaluation.bootstrap import bootstrap_totals, bootstrap_weights, percentile_interval


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
