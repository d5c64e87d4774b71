import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from fusion.classical.classifier import Classifier, check_classifier
from fusion.errors import FusionError

CONF = Path(__file__).parents[2] / "conf" / "classifier"
NAMES = (
    "adaboost",
    "extra_trees",
    "gradient_boosting",
    "knn",
    "lightgbm",
    "lr",
    "lr_l1",
    "mlp",
    "naive_bayes",
    "random_forest",
    "svm",
    "xgboost",
)
LINEAR = {"_target_": "sklearn.linear_model.LogisticRegression", "C": 1e9, "tol": 1e-10, "max_iter": 10000}


def option(name, **changes):
    return {**yaml.safe_load((CONF / f"{name}.yaml").read_text()), **changes}


def quick(name):
    """The option with fewer trees, which says the same in a tenth of the time."""
    classifier = copy.deepcopy(option(name))
    if "n_estimators" in classifier["estimator"]:
        classifier["estimator"]["n_estimators"] = 8
    return classifier


def rows(n, n_columns=5, *, shift=0.0, seed=0):
    """Two columns that tell the label, on scales and offsets of their own."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_columns))
    y = (X[:, 0] + X[:, 1] + 0.5 * rng.normal(size=n) + shift > 0).astype(np.int64)
    return X * np.logspace(-2, 2, n_columns) + np.arange(n_columns), y


def fit(classifier, X, y, *, weights=None, patients=None, seed=0):
    n = len(y)
    return Classifier.fit(
        X,
        y,
        classifier=classifier,
        weights=np.ones(n) if weights is None else weights,
        patients=np.arange(n) if patients is None else patients,
        seed=seed,
    )


@cache
def fitted(name):
    return fit(quick(name), *rows(60))


def test_the_twelve_are_there_and_pass():
    assert tuple(sorted(path.stem for path in CONF.glob("*.yaml"))) == NAMES
    for name in NAMES:
        assert option(name)["name"] == name
        check_classifier(option(name))


@pytest.mark.parametrize("name", NAMES)
def test_finds_what_is_planted(name):
    X, y = rows(400, seed=1)
    p = fitted(name).probabilities(X)
    assert p.shape == (400,)
    assert np.all((p >= 0) & (p <= 1))
    assert roc_auc_score(y, p) > 0.8
    # Of the labels' prevalence, to which every classifier's probabilities are brought back.
    assert p.mean() == pytest.approx(y.mean(), abs=0.12)


@pytest.mark.parametrize("name", NAMES)
def test_comes_back_from_a_checkpoint(name, tmp_path):
    torch.save(fitted(name).state(), tmp_path / "state.pt")
    again = Classifier.from_state(torch.load(tmp_path / "state.pt", weights_only=True))
    X, _ = rows(50, seed=2)
    np.testing.assert_array_equal(again.probabilities(X), fitted(name).probabilities(X))
    assert again.chosen == fitted(name).chosen
    assert set(again.chosen) == set(option(name)["grid"])


@pytest.mark.parametrize("name", ["random_forest", "svm"])
def test_the_same_call_gives_the_same_model(name):
    X, _ = rows(50, seed=2)
    again = fit(quick(name), *rows(60))
    np.testing.assert_array_equal(again.probabilities(X), fitted(name).probabilities(X))


def test_the_seed_reaches_the_estimator():
    X, _ = rows(50, seed=2)
    other = fit({**quick("random_forest"), "grid": {}}, *rows(60), seed=1)
    same = fit({**quick("random_forest"), "grid": {}}, *rows(60), seed=0)
    assert not np.array_equal(other.probabilities(X), same.probabilities(X))
    assert other.estimator.random_state == 1


def test_lr_equals_plain_sklearn():
    X, y = rows(60)
    weights = np.tile([0.5, 1.5], 30)
    classifier = fit(option("lr"), X, y, weights=weights)
    scaler = StandardScaler().fit(X, sample_weight=weights)
    plain = LogisticRegression(C=classifier.chosen["C"], max_iter=1000).fit(scaler.transform(X), y, weights)
    assert classifier.chosen["C"] in option("lr")["grid"]["C"]
    np.testing.assert_allclose(
        classifier.probabilities(X), plain.predict_proba(scaler.transform(X))[:, 1], rtol=0, atol=1e-9
    )


def test_lr_without_penalty_equals_r():
    # x1 and x2 as below; y <- c(0,0,1,0,1,1,0,1,0,1,0,0); w <- c(.5,.5,1,1,.5,.5,1,1,1,1,1,1)
    # coef(suppressWarnings(glm(y ~ x1 + x2, family = binomial, weights = w, control = list(epsilon = 1e-12))))
    X = np.array(
        [
            [1.2, 0.4, 3.1, 2.2, 0.9, 2.8, 1.7, 3.6, 0.2, 2.5, 1.1, 3.3],
            [10, 40, 20, 50, 30, 15, 45, 35, 25, 55, 20, 10],
        ]
    ).T
    y = np.array([0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 0])
    weights = np.array([0.5, 0.5, 1, 1, 0.5, 0.5, 1, 1, 1, 1, 1, 1])
    classifier = {"name": "glm", "estimator": LINEAR, "grid": {}, "imbalance": "none"}
    linear = fit(classifier, X, y, weights=weights).linear
    assert linear is not None
    assert linear[0] == pytest.approx([1.39853077724, 0.02971813427], abs=1e-5)
    assert linear[1] == pytest.approx(-4.48572708530, abs=1e-5)


def test_lr_l1_equals_saga():
    X, y = rows(60, 20)
    classifier = fit(option("lr_l1"), X, y)
    scaler = StandardScaler().fit(X)
    saga = LogisticRegression(l1_ratio=1, solver="saga", C=classifier.chosen["C"], tol=1e-8, max_iter=100_000)
    saga.fit(scaler.transform(X), y)
    assert classifier.estimator.coef_ == pytest.approx(saga.coef_, abs=2e-3)
    assert classifier.estimator.intercept_ == pytest.approx(saga.intercept_, abs=2e-3)
    assert 2 <= np.sum(classifier.estimator.coef_ != 0) < 20


@pytest.mark.parametrize(("name", "imbalance"), [("lr", "none"), ("lr", "weights"), ("lr_l1", "smote")])
def test_linear_is_the_logit_in_the_columns_as_they_come(name, imbalance):
    X, y = rows(80, shift=-1)
    classifier = fit(option(name, imbalance=imbalance), X, y)
    coefficients, intercept = classifier.linear
    np.testing.assert_allclose(logit(classifier.probabilities(X)), X @ coefficients + intercept, atol=1e-8)


def test_only_logistic_regressions_are_linear():
    assert fitted("svm").linear is None


@pytest.mark.parametrize("imbalance", ["none", "weights", "smote"])
def test_probabilities_are_of_the_training_prevalence(imbalance):
    X, y = rows(400, shift=-2)
    assert 0.05 < y.mean() < 0.15
    classifier = {"name": "glm", "estimator": LINEAR, "grid": {}, "imbalance": imbalance}
    # Unshifted, those of weights and smote have a mean near .2.
    assert fit(classifier, X, y).probabilities(X).mean() == pytest.approx(y.mean(), abs=0.02)


def test_every_patient_counts_the_same():
    X, y = rows(40)
    n_images = np.where(np.arange(40) % 3 == 0, 4, 1)
    patients = np.repeat(np.arange(40), n_images)
    weights = 1 / n_images[patients]
    many = fit(option("lr"), X[patients], y[patients], weights=weights / weights.mean(), patients=patients)
    one = fit(option("lr"), X, y)
    assert many.prevalence == pytest.approx(y.mean())
    assert many.fitted.means == pytest.approx(one.fitted.means)
    assert many.fitted.scales == pytest.approx(one.fitted.scales)


def test_the_sigmoid_of_svm_is_not_fitted_in_sample():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 100)), np.tile([0, 1], 30)
    classifier = fit(option("svm", grid={"C": [10]}), X, y)
    decisions = classifier.estimator.decision_function(classifier.fitted.standardize(X))
    # It separates its own rows, from which a sigmoid fitted on them would spread those of new patients by .17.
    assert roc_auc_score(y, decisions) == 1
    assert np.std(classifier.probabilities(rng.normal(size=(200, 100)))) < 0.1


def test_a_classifier_is_one_file(tmp_path):
    path = tmp_path / "lda.yaml"
    path.write_text(
        "name: lda\nestimator:\n  _target_: sklearn.discriminant_analysis.LinearDiscriminantAnalysis\n"
        "grid: {}\nimbalance: none\n"
    )
    classifier = yaml.safe_load(path.read_text())
    check_classifier(classifier)
    X, y = rows(60)
    lda = fit(classifier, X, y)
    again = Classifier.from_state(lda.state())
    assert roc_auc_score(y, again.probabilities(X)) > 0.8
    np.testing.assert_array_equal(again.probabilities(X), lda.probabilities(X))


def test_without_columns_it_gives_the_prevalence():
    y = np.array([0, 0, 0, 1])
    classifier = fit(option("lr"), np.empty((4, 0)), y, weights=np.array([0.5, 0.5, 1.5, 1.5]))
    again = Classifier.from_state(classifier.state())
    assert again.probabilities(np.empty((2, 0))) == pytest.approx([0.375, 0.375])
    assert again.estimator is None
    assert again.chosen == {}
    coefficients, intercept = again.linear
    assert coefficients.shape == (0,)
    assert intercept == pytest.approx(logit(0.375))


def test_a_constant_column_does_no_harm():
    X, y = rows(60)
    with_constant = np.concatenate([X, np.full((60, 1), 0.1)], axis=1)
    expected = fit(option("lr"), X, y).probabilities(X)
    assert fit(option("lr"), with_constant, y).probabilities(with_constant) == pytest.approx(expected)


def test_one_label_is_refused():
    with pytest.raises(FusionError, match="both labels, came 4 rows of label number 1 alone"):
        fit(option("lr"), np.zeros((4, 2)), np.ones(4))


def test_arguments_that_the_estimator_refuses_are_named():
    with pytest.raises(FusionError, match=r"classifier=lr: .*LogisticRegression.*'C': -1"):
        fit(option("lr", grid={"C": [-1, 1]}), *rows(60))


def test_what_could_not_be_loaded_again_is_refused_when_fitted(tmp_path, monkeypatch):
    (tmp_path / "another_package.py").write_text(
        "from sklearn.linear_model import LogisticRegression\n\n\nclass Mine(LogisticRegression):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    classifier = {"name": "mine", "estimator": {"_target_": "another_package.Mine"}, "grid": {}, "imbalance": "none"}
    check_classifier(classifier)
    with pytest.raises(FusionError, match=r"Mine: .*another_package\.Mine.*TRUSTED_TYPES"):
        fit(classifier, *rows(60))


def test_more_neighbors_than_rows_are_refused():
    with pytest.raises(FusionError, match="n_neighbors"):
        fit(option("knn", grid={}, estimator={**option("knn")["estimator"], "n_neighbors": 70}), *rows(60))


def test_held_out_rows_have_no_say_in_the_columns_that_tune(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), np.arange(60) % 2
    asked: list[set[int]] = []

    def choose(rows: np.ndarray) -> np.ndarray:
        asked.append(set(rows.tolist()))
        return np.array([0]) if len(asked) % 2 else np.array([], dtype=int)

    fitted = Classifier.fit(
        X,
        y,
        columns=np.array([1, 3]),
        choose=choose,
        classifier={
            "name": "lr",
            "estimator": {"_target_": "sklearn.linear_model.LogisticRegression"},
            "grid": {"C": [0.1, 1]},
            "imbalance": "none",
        },
        weights=np.ones(60),
        patients=np.arange(60),
        seed=0,
    )
    # Five inner folds, each of which leaves a fifth out; the model itself takes the columns that it is given.
    assert [len(rows) for rows in asked] == [48] * 5
    assert not set.intersection(*asked)
    assert fitted.linear is not None
    assert len(fitted.linear[0]) == 2
