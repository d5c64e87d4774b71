import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from fusion.explanation.training_distance import Gaussian, TrainingDistance


def rows(n: int, d: int, *, seed: int = 0, scales: float | np.ndarray = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) * scales + 3.0


def test_distances_are_mahalanobis_of_the_covariance_that_the_paper_gives() -> None:
    # Directions of very different width, turned: the last ones share one variance, the mean of theirs.
    turn = np.linalg.qr(rows(8, 8, seed=1))[0]
    training = rows(200, 8, scales=np.array([9, 5, 3, 0.5, 0.4, 0.3, 0.2, 0.1])) @ turn
    found = Gaussian.fit(training)
    values, axes = np.linalg.eigh(np.cov(training, rowvar=False))
    values, axes = values[::-1], axes[:, ::-1].T
    n_axes = int(np.searchsorted(np.cumsum(values) / values.sum(), 0.95)) + 1
    assert 1 < n_axes < 8
    filled = np.concatenate([values[:n_axes], np.full(8 - n_axes, values[n_axes:].mean())])
    inverse = np.linalg.inv(axes.T @ np.diag(filled) @ axes)
    others = rows(5, 8, seed=2)
    expected = [mahalanobis(other, training.mean(axis=0), inverse) for other in others]
    assert found.distances(others) == pytest.approx(expected, rel=1e-9)
    assert len(found.axes) == n_axes


def test_more_columns_than_rows_are_no_obstacle() -> None:
    found = TrainingDistance.fit(rows(20, 300), patients=[str(i) for i in range(20)], held_out=rows(40, 300, seed=1))
    same, other = (found.gaussian.distances(rows(200, 300, seed=2) + shift) for shift in (0.0, 0.5))
    assert found.percentiles(same).mean() == pytest.approx(0.5, abs=0.1)
    assert found.percentiles(other).mean() > 0.95


def test_columns_that_do_not_vary_in_training_and_do_elsewhere_are_far() -> None:
    training, others = rows(30, 4), rows(20, 4, seed=1)
    training[:, 3] = others[:, 3] = 7.0
    found = TrainingDistance.fit(training, patients=[str(i) for i in range(30)], held_out=others)
    moved = rows(5, 4, seed=2)
    moved[:, 3] = 7.0
    assert found.percentiles(found.gaussian.distances(moved)).min() < 1
    moved[:, 3] = 8.0
    assert found.percentiles(found.gaussian.distances(moved)).min() == 1
    still = Gaussian.fit(np.full((5, 3), 2.0))
    assert np.isfinite(still.distances(np.full((1, 3), 2.0))).all()
    assert still.distances(np.full((1, 3), 2.5))[0] > 1e6


@pytest.mark.parametrize(("n", "d"), [(60, 40), (200, 300)])
def test_without_held_out_cases_those_of_the_same_kind_are_as_far_as_the_reference(n: int, d: int) -> None:
    found = []
    for seed in range(12):
        training, fresh = rows(n, d, seed=seed), rows(200, d, seed=100 + seed)
        distance = TrainingDistance.fit(training, patients=[f"{i:03}" for i in range(n)], held_out=training[:0])
        percentiles = distance.percentiles(distance.gaussian.distances(fresh))
        found.append((percentiles.mean(), (percentiles > 0.95).mean(), distance.expected_share(0.95)))
    typical, far, expected = np.mean(found, axis=0)
    # In-sample distances, or those from a Gaussian of fewer cases, miss these by far.
    assert typical == pytest.approx(0.5, abs=0.06)
    assert far == pytest.approx(expected, abs=0.05)


def test_images_of_a_patient_are_left_out_together() -> None:
    twins = np.repeat(rows(30, 40), 2, axis=0)
    paired, split = (
        TrainingDistance.fit(twins, patients=names, held_out=twins[:0]).reference
        for names in ([f"{i // 2:03}" for i in range(60)], [f"{i:03}" for i in range(60)])
    )
    assert len(paired) == len(split) == 12
    assert np.median(split) < 0.8 * np.median(paired)


def test_few_cases_to_compare_with_make_more_of_one_kind_far() -> None:
    gaussian = Gaussian.fit(rows(9, 2))
    for n, expected in ((5, 1 / 6), (10, 1 / 11), (39, 2 / 40), (1000, 50 / 1001)):
        found = TrainingDistance(gaussian=gaussian, reference=np.arange(n, dtype=float))
        assert found.expected_share(0.95) == pytest.approx(expected)
        # A new case of the same kind falls with equal probability into any of the gaps.
        gaps = found.percentiles(np.arange(n + 1) - 0.5)
        assert (gaps > 0.95).mean() == pytest.approx(expected)


def test_percentiles_count_those_that_lie_nearer_and_half_of_those_as_near() -> None:
    found = TrainingDistance(gaussian=Gaussian.fit(rows(9, 2)), reference=np.array([1.0, 2.0, 2.0, 3.0]))
    assert found.percentiles(np.array([0.5, 1.0, 2.0, 2.5, 9.0])).tolist() == [0, 0.125, 0.5, 0.75, 1]


def test_arrays_come_back() -> None:
    found = TrainingDistance.fit(rows(30, 6), patients=[str(i) for i in range(30)], held_out=rows(9, 6, seed=1))
    again = TrainingDistance.from_arrays(found.arrays())
    others = rows(7, 6, seed=2)
    assert again.gaussian.distances(others) == pytest.approx(found.gaussian.distances(others), rel=1e-5)
    assert again.reference == pytest.approx(found.reference, rel=1e-6)
    assert all(array.dtype == np.float32 for array in found.arrays().values())
