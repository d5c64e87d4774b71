import numpy as np
import pytest

from fusion.classical.inner_folds import inner_folds
from fusion.errors import FusionError


def test_patients_stay_together_and_labels_are_spread():
    patients = np.random.default_rng(0).permutation(np.repeat(np.arange(60), 3))
    y = (patients % 4 == 0).astype(np.int64)
    folds = inner_folds(y, patients, seed=0)
    assert set(folds.tolist()) == {0, 1, 2, 3, 4}
    assert all(len(set(folds[patients == patient].tolist())) == 1 for patient in range(60))
    assert [int(np.sum(y[folds == fold])) for fold in range(5)] == [9] * 5
    assert [int(np.sum(folds == fold)) for fold in range(5)] == [36] * 5


def test_as_many_folds_as_the_rarer_label_has_patients():
    # Three patients of label 1, one of them with many rows.
    patients = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9])
    y = np.array([0] * 7 + [1] * 6)
    folds = inner_folds(y, patients, seed=0)
    assert folds.max() == 2
    assert all(0 < np.sum(y[folds != fold]) < np.sum(folds != fold) for fold in range(3))


def test_the_seed_decides():
    y = np.tile([0, 1], 30)
    drawn = [inner_folds(y, np.arange(60), seed=seed).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_one_patient_of_a_label_is_too_few():
    with pytest.raises(FusionError, match=r"two or more training patients of each label.* came \[3, 1\]"):
        inner_folds(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 3]), seed=0)
