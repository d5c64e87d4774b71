from __future__ import annotations

import pytest

from fusion.guidelines.score import score_items


def test_open_items_count_as_not_met_and_at_most_as_met() -> None:
    score = score_items([(0.5, True, True), (0.3, True, False), (0.2, True, None)])
    assert (score.percent, score.at_most) == pytest.approx((50.0, 70.0))
    assert (score.n_met, score.n_not_met, score.n_open, score.n_without) == (1, 1, 1, 0)


def test_items_that_do_not_apply_change_no_percentage() -> None:
    # As the official calculator: 0.037 of 0.037 + 0.074, whatever else there is.
    score = score_items([(0.037, True, True), (0.074, True, False), (0.022, False, None), (0.092, False, True)])
    assert score.percent == pytest.approx(100 * 0.037 / 0.111)
    assert score.n_without == 2


def test_it_is_rounded_for_people_only() -> None:
    score = score_items([(1.0, True, True), (2.0, True, False)])
    assert score.as_json()["percent"] == 33.3
    assert score.percent == pytest.approx(100 / 3)
