import numpy as np
import pytest

from fusion.evaluation.pooling import pool_cases
from fusion.records import Predictions


def predictions(patients, folds, p, labels):
    n = len(patients)
    return Predictions(
        model="m",
        label_names=("no", "yes"),
        patient_ids=tuple(patients),
        centers=tuple(f"center of {patient}" for patient in patients),
        parts=tuple("test" if fold == 0 else "train" for fold in folds),
        folds=tuple(folds),
        labels=tuple(labels),
        probabilities=np.stack([1 - np.array(p), p], axis=1).reshape(n, 2),
        case_ids=tuple(f"{patient}-{k}" for k, patient in enumerate(patients)),
    )


def test_mean_of_a_patients_cases_per_fold_in_stable_order():
    cases = predictions("baabb", [0, 0, 0, 0, 1], [0.2, 0.1, 0.3, 0.6, 1.0], ["yes", "no", "no", "yes", "yes"])
    pooled = pool_cases(cases)
    assert pooled.patient_ids == ("b", "a", "b")
    assert pooled.folds == (0, 0, 1)
    assert pooled.parts == ("test", "test", "train")
    assert pooled.labels == ("yes", "no", "yes")
    assert pooled.centers == ("center of b", "center of a", "center of b")
    assert pooled.case_ids is None
    np.testing.assert_allclose(pooled.probabilities[:, 1], [0.4, 0.2, 1.0])


def test_two_labels_of_a_patient_are_refused():
    with pytest.raises(ValueError, match="patient 'a': required one label, came"):
        pool_cases(predictions("aa", [0, 0], [0.2, 0.1], ["no", "yes"]))


def test_no_cases_give_no_patients():
    assert pool_cases(predictions("", [], [], [])).probabilities.shape == (0, 2)
