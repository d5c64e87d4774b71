import numpy as np
import pytest

from fusion.classical import tuning
from fusion.classical.fitted_estimator import FittedEstimator
from fusion.classical.tuning import tune
from fusion.errors import FusionError


def classifier(target, grid, imbalance="none", **arguments):
    return {"name": "x", "estimator": {"_target_": target, **arguments}, "grid": grid, "imbalance": imbalance}


LR = "sklearn.linear_model.LogisticRegression"
KNN = "sklearn.neighbors.KNeighborsClassifier"


def rows(n_patients, n_images=1, signal=2.0):
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(n_patients), n_images)
    y = (patients % 3 == 0).astype(np.int64)
    X = np.stack([np.arange(len(y), dtype=np.float64), rng.normal(size=len(y)) + signal * y], axis=1)
    return X, y, patients


def tuned(settings, X, y, patients):
    return tune(X, y, classifier=settings, weights=np.ones(len(y)), patients=patients, seed=0)


@pytest.fixture
def seen(monkeypatch):
    """Rows (by the first column) that each estimator was fitted on, that SMOTE got, and that were then scored."""
    from imblearn.over_sampling import SMOTE

    calls = {"fitted": [], "smote": [], "scored": []}
    fit, scores, resample = FittedEstimator.fit.__func__, FittedEstimator.scores, SMOTE.fit_resample

    def spy_fit(cls, X, y, **arguments):
        calls["fitted"].append(X[:, 0].astype(int))
        return fit(cls, X, y, **arguments)

    def spy_scores(self, X):
        calls["scored"].append(X[:, 0].astype(int))
        return scores(self, X)

    def spy_resample(self, X, y, **arguments):
        calls["smote"].append(len(X))
        return resample(self, X, y, **arguments)

    monkeypatch.setattr(tuning.FittedEstimator, "fit", classmethod(spy_fit))
    monkeypatch.setattr(tuning.FittedEstimator, "scores", spy_scores)
    monkeypatch.setattr(SMOTE, "fit_resample", spy_resample)
    return calls


def test_smote_sees_only_the_rows_that_are_fitted(seen):
    X, y, patients = rows(30, n_images=2)
    tuned(classifier(LR, {"C": [0.1, 1]}, imbalance="smote"), X, y, patients)
    assert len(seen["fitted"]) == 10
    assert seen["smote"] == [len(fitted) for fitted in seen["fitted"]] == [48] * 10


def test_nobody_is_scored_by_an_estimator_that_was_fitted_on_an_image_of_theirs(seen):
    X, y, patients = rows(30, n_images=2)
    tuned(classifier(LR, {"C": [0.1, 1]}), X, y, patients)
    for fitted, scored in zip(seen["fitted"], seen["scored"], strict=True):
        assert not set(patients[fitted]) & set(patients[scored])
        assert sorted([*fitted, *scored]) == list(range(60))


def test_images_of_a_patient_do_not_vote_for_each_other():
    # Pure noise, but the images of a patient are the same: one neighbor would be right if it could be the own image.
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 2)
    X, y = rng.normal(size=(40, 3))[patients], (patients % 2).astype(np.int64)
    assert tuned(classifier(KNN, {"n_neighbors": [25, 1]}), X, y, patients).values == {"n_neighbors": 25}


def test_a_signal_loosens_and_noise_tightens_the_penalty():
    chosen = [tuned(classifier(LR, {"C": [0.001, 1]}), *rows(60, signal=signal)).values["C"] for signal in (0.0, 2.0)]
    assert chosen == [0.001, 1]


def test_of_equal_losses_the_first_wins():
    settings = classifier("sklearn.dummy.DummyClassifier", {"constant": [2, 1, 3]}, strategy="prior")
    assert tuned(settings, *rows(30)).values == {"constant": 2}


def test_nothing_is_fitted_where_there_is_nothing_to_choose(seen):
    found = tuned(classifier(LR, {"C": [3]}), *rows(30))
    assert (found.values, found.sigmoid, seen["fitted"]) == ({"C": 3}, None, [])


def test_an_estimator_without_probabilities_gets_a_sigmoid_of_held_out_values():
    X, y, patients = rows(60)
    found = tuned(classifier("sklearn.svm.SVC", {"C": [1, 10]}), X, y, patients)
    assert found.sigmoid is not None
    # Of a decision value that is clearly on one side.
    low, high = found.sigmoid.probabilities(np.array([-1.0, 1.0]))
    assert low < 0.3 < 0.7 < high


def test_combinations_that_the_rows_are_too_few_for_are_left_out(caplog):
    X, y, patients = rows(20)
    assert tuned(classifier(KNN, {"n_neighbors": [50, 5]}), X, y, patients).values == {"n_neighbors": 5}
    assert "'n_neighbors': 50} is left out of the grid" in caplog.text
    with pytest.raises(FusionError, match="combination of its grid that 20 training rows are enough for"):
        tuned(classifier(KNN, {"n_neighbors": [50, 60]}), X, y, patients)


def test_log_loss_by_hand():
    # Patients weigh 1 and 3; a certainty that is wrong costs no more than one of 1 / 4 with two patients.
    loss = tuning._log_loss(np.array([0.5, 1.0]), np.array([1, 0]), np.array([1.0, 3.0]), nearest=0.25)
    assert loss == pytest.approx((np.log(2) + 3 * np.log(4)) / 4)
