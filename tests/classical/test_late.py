from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from fusion.calibration.fit import fit_calibrator
from fusion.classical.late import WeightedMean
from fusion.classical.rows import Outcomes

NAN = float("nan")


def outcomes_of(y: Any, patients: Any = None) -> Outcomes:
    """Of rows that are a patient each, or of the patients given."""
    labels = np.asarray(y, dtype=np.float64)
    of = np.arange(len(labels)) if patients is None else np.asarray(patients)
    weights = 1.0 / np.bincount(of)[of]
    return Outcomes(y=labels, patients=of, weights=weights / weights.mean())


def drawn(
    seed: int, shifts: tuple[float, ...], *, n: int = 80, missing: float = 0.0
) -> tuple[NDArray[np.float64], Outcomes]:
    """Scores that differ by twice their shift between the labels; a share of them is missing."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    scores = draw.normal(size=(n, len(shifts))) + np.outer(2 * y - 1, shifts)
    scores[draw.random(scores.shape) < missing] = NAN
    return scores, outcomes_of(y)


def losses_of(model: WeightedMean, scores: NDArray[np.float64], outcomes: Outcomes) -> Callable[[Any], float]:
    """Log loss of the weighted mean with other weights."""
    single = [
        WeightedMean(calibrators=(each,), weights=np.ones(1), prevalence=NAN).probabilities(column[:, None])
        for each, column in zip(model.calibrators, scores.T, strict=True)
    ]
    p = np.stack(single, axis=1)
    bare = np.isnan(p).all(axis=1)

    def loss(weights: Any) -> float:
        total = (weights * ~np.isnan(p)).sum(axis=1) + bare
        mean = np.where(bare, model.prevalence, np.nansum(weights * p, axis=1) / total)
        return float(np.average(-np.log(np.where(outcomes.y == 1, mean, 1 - mean)), weights=outcomes.weights))

    return loss


def with_many_images() -> tuple[NDArray[np.float64], Outcomes]:
    """Half of the rows are two patients', whom the better branch misjudges."""
    scores, outcomes = drawn(13, (1.0, 0.4))
    scores[:40, 0] *= -1
    return scores, outcomes_of(outcomes.y, [*np.arange(40) % 2, *range(2, 42)])


CASES: list[Callable[[], tuple[NDArray[np.float64], Outcomes]]] = [
    lambda: drawn(0, (1.0, 0.7, 0.3)),
    lambda: drawn(1, (0.5, 0.5)),
    lambda: drawn(2, (0.0, 0.0, 0.0)),
    lambda: drawn(3, (1.0, 0.2, 0.0, 0.6), missing=0.3),
    lambda: drawn(4, (0.3, 0.3, 1.5), missing=0.2),
    lambda: drawn(5, (2.0, -1.0, 0.1), n=24, missing=0.2),
    with_many_images,
    # From equal weights alone these end 0.01 above the least loss.
    lambda: drawn(33, (1.0, 1.1, 0.6, 0.4), n=40, missing=0.4),
    lambda: drawn(42, (0.1, 0.5, 0.8, -0.2), n=24, missing=0.3),
]


@pytest.mark.parametrize("case", CASES)
def test_no_single_branch_and_no_equal_weights_have_a_lower_loss(
    case: Callable[[], tuple[NDArray[np.float64], Outcomes]],
) -> None:
    scores, outcomes = case()
    n = scores.shape[1]
    model = WeightedMean.fit(scores, outcomes)
    assert (model.weights >= 0).all()
    assert model.weights.sum() == pytest.approx(1)
    loss = losses_of(model, scores, outcomes)
    # A weight of nearly nothing still judges those who have no other branch.
    others = [np.full(n, 1 / n), *(np.eye(n) + 1e-7), *np.random.default_rng(0).dirichlet(np.full(n, 0.3), 300)]
    assert loss(model.weights) <= min(loss(weights) for weights in others) + 1e-6


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_weights_of_two_scores_are_the_best_of_a_fine_grid(missing: float) -> None:
    scores, outcomes = drawn(7, (0.8, 0.6), missing=missing)
    model = WeightedMean.fit(scores, outcomes)
    loss, grid = losses_of(model, scores, outcomes), np.linspace(0.001, 0.999, 999)
    best = float(grid[int(np.argmin([loss((weight, 1 - weight)) for weight in grid.tolist()]))])
    assert 0.05 < best < 0.95
    assert model.weights[0] == pytest.approx(best, abs=2e-3)


def test_a_score_of_noise_has_next_to_no_weight() -> None:
    """By hand: the loss of the first score alone is below that of any mean with the second, which says nothing."""
    y = np.repeat([0, 1], 20)
    informative = np.where(y == 1, 2.0, -2.0) + np.tile([0.5, -0.5, 0.25, -0.25], 10)
    scores = np.stack([informative, np.tile([1.0, -1.0, -1.0, 1.0], 10)], axis=1)
    model = WeightedMean.fit(scores, outcomes_of(y))
    assert model.weights[0] > 0.999
    assert (model.probabilities(scores)[y == 1] > 0.9).all()
    turned = WeightedMean.fit(scores[:, ::-1], outcomes_of(y))
    assert turned.weights[1] > 0.999


def test_branches_that_others_do_without_have_the_same_say_among_themselves() -> None:
    y = np.repeat([0, 1], 20)
    noise = [np.tile([1.0, -1.0, -1.0, 1.0], 10), np.tile([1.0, -1.0, 1.0, -1.0], 10)]
    scores = np.stack([np.where(y == 1, 3.0, -3.0) + np.tile([0.1, -0.1], 20), *noise], axis=1)
    model = WeightedMean.fit(scores, outcomes_of(y))
    assert (model.weights > 0).all()
    assert model.weights[0] > 0.999
    lacking = np.array([[NAN, 1.0, -1.0], [NAN, 1.0, NAN], [NAN, NAN, -1.0]])
    both, *each = model.probabilities(lacking).tolist()
    assert both == pytest.approx(np.mean(each), rel=1e-3)


def test_equal_scores_give_what_one_of_them_gives() -> None:
    scores, outcomes = drawn(8, (0.8,))
    alone = WeightedMean.fit(scores, outcomes)
    assert alone.weights.tolist() == [1.0]
    twice = WeightedMean.fit(np.repeat(scores, 2, axis=1), outcomes)
    np.testing.assert_allclose(twice.probabilities(np.repeat(scores, 2, axis=1)), alone.probabilities(scores))


def test_scores_are_calibrated_by_platt_with_patients_counted() -> None:
    scores, _ = drawn(9, (0.8,), n=60)
    patients = np.repeat(np.arange(20), 3)
    outcomes = outcomes_of(patients % 2, patients)
    model = WeightedMean.fit(scores, outcomes)
    p = expit(scores[:, 0])
    labels = outcomes.y.astype(np.int64)
    # The weights of a patient's three rows add up to 1, so that Platt's targets are those of ten and ten patients.
    expected = fit_calibrator("platt", labels, np.stack([1 - p, p], axis=1), np.full(60, 1 / 3))
    assert model.calibrators[0].state() == expected.state()
    np.testing.assert_allclose(model.probabilities(scores), expected.apply(np.stack([1 - p, p], axis=1))[:, 1])


def three_branches() -> WeightedMean:
    """With calibrators that change nothing."""
    identity = fit_calibrator("none", np.array([0]), np.array([[0.5, 0.5]]), np.ones(1))
    return WeightedMean(calibrators=(identity,) * 3, weights=np.array([0.5, 0.3, 0.2]), prevalence=0.15)


def test_a_patient_without_a_branch_is_judged_by_the_others() -> None:
    scores = logit(np.array([[0.9, 0.4, 0.2], [NAN, 0.4, 0.2], [0.9, NAN, NAN]]))
    # 0.5 x 0.9 + 0.3 x 0.4 + 0.2 x 0.2; (0.3 x 0.4 + 0.2 x 0.2) / 0.5; 0.9 alone.
    np.testing.assert_allclose(three_branches().probabilities(scores), [0.61, 0.32, 0.9])


def test_a_patient_without_any_branch_is_given_the_prevalence() -> None:
    assert three_branches().probabilities(np.full((1, 3), NAN)).tolist() == [0.15]
    scores, _ = drawn(10, (0.8, 0.2), n=40)
    patients = np.array([*([0] * 10), *range(1, 31)])
    model = WeightedMean.fit(scores, outcomes_of(patients % 4 == 0, patients))
    # Patients, not rows: 8 of 31 (0, 4, ... 28), of whom one has ten images.
    assert model.prevalence == pytest.approx(8 / 31)
    assert model.probabilities(np.full((1, 2), NAN))[0] == pytest.approx(8 / 31)


def test_a_score_that_is_the_same_for_all_gives_nearly_the_prevalence() -> None:
    y = np.arange(40) % 4 == 0
    model = WeightedMean.fit(np.full((40, 1), 0.7), outcomes_of(y))
    # Platt's targets, 11 / 12 of ten positives and 1 / 32 of thirty negatives.
    expected = (10 * 11 / 12 + 30 / 32) / 40
    np.testing.assert_allclose(model.probabilities(np.full((2, 1), 0.7)), expected, rtol=1e-6)


def test_scores_beyond_what_a_probability_can_hold_stay_finite() -> None:
    scores, outcomes = drawn(11, (1.0, 0.5))
    model = WeightedMean.fit(scores * 1e3, outcomes)
    p = model.probabilities(np.array([[1e4, -1e4], [-1e4, NAN]]))
    assert ((p >= 0) & (p <= 1)).all()


def test_the_same_scores_give_the_same_model_and_it_survives_its_state() -> None:
    scores, outcomes = drawn(12, (0.8, 0.3, 0.1), missing=0.1)
    model = WeightedMean.fit(scores, outcomes)
    assert WeightedMean.fit(scores, outcomes).state() == model.state()
    again = WeightedMean.from_state(model.state())
    np.testing.assert_array_equal(again.probabilities(scores), model.probabilities(scores))
    assert again.state() == model.state()
    assert (again.linear, again.chosen) == (None, {})
