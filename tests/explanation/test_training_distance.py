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
    training = rows(30, 4)
    training[:, 3] = 7.0
    found = TrainingDistance.fit(training, patients=[str(i) for i in range(30)], held_out=training[:0])
    moved = training[:5].copy()
    assert found.percentiles(found.gaussian.distances(moved)).max() < 1
    moved[:, 3] = 8.0
    assert found.percentiles(found.gaussian.distances(moved)).min() == 1
    still = Gaussian.fit(np.full((5, 3), 2.0))
    assert np.isfinite(still.distances(np.full((1, 3), 2.0))).all()
    assert still.distances(np.full((1, 3), 2.5))[0] > 1e6


def test_without_held_out_cases_no_patient_is_measured_against_itself() -> None:
    training = rows(60, 40)
    patients = [str(i // 2) for i in range(60)]
    crossed = TrainingDistance.fit(training, patients=patients, held_out=training[:0])
    own = np.sort(Gaussian.fit(training).distances(training))
    fresh = TrainingDistance.fit(training, patients=patients, held_out=rows(60, 40, seed=5))
    # In-sample distances are too small: with them every new case would look far.
    assert np.median(own) < 0.75 * np.median(crossed.reference)
    assert np.median(crossed.reference) == pytest.approx(np.median(fresh.reference), rel=0.2)
    # Two images of a patient that are the same: were one of them learned from, the other would be near.
    twins = np.repeat(rows(30, 40), 2, axis=0)
    paired, split = (
        TrainingDistance.fit(twins, patients=names, held_out=twins[:0]).reference
        for names in ([f"{i // 2:03}" for i in range(60)], [f"{i:03}" for i in range(60)])
    )
    assert np.median(split) < 0.8 * np.median(paired)


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
