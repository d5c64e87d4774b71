import pytest

from fusion.classical.estimator import check_classifier, make_estimator
from fusion.errors import InputError

LR = "sklearn.linear_model.LogisticRegression"


def classifier(target=LR, grid=None, imbalance="none", **arguments):
    return {
        "name": "x",
        "estimator": {"_target_": target, **arguments},
        "grid": {} if grid is None else grid,
        "imbalance": imbalance,
    }


def test_all_problems_at_once():
    with pytest.raises(InputError) as caught:
        check_classifier(
            {"name": "x", "estimator": {"_target_": LR}, "grid": {"c": [1], "C": 1, "tol": []}, "imbalence": "none"}
        )
    assert [problem.where for problem in caught.value.problems] == [
        "imbalance",
        "imbalence",
        "grid.C",
        "grid.tol",
        "grid.c",
    ]
    assert "classifier=x" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "where", "came"),
    [
        (classifier("no_such_package.Classifier"), "estimator._target_", "no_such_package"),
        (classifier("sklearn.svm.NoSuchClass"), "estimator._target_", "has no NoSuchClass"),
        (classifier("sklearn.metrics.roc_auc_score"), "estimator._target_", "roc_auc_score"),
        (classifier("sklearn.preprocessing.Normalizer"), "estimator._target_", "neither predict_proba"),
        (classifier("Classifier"), "estimator", "Classifier"),
        (classifier(no_such_argument=1), "estimator", "no_such_argument"),
        ({**classifier(), "estimator": LR}, "estimator", LR),
        ({**classifier(), "grid": ["C"]}, "grid", "C"),
        (classifier(imbalance="undersample"), "imbalance", "undersample"),
        (classifier("sklearn.neighbors.KNeighborsClassifier", imbalance="weights"), "imbalance", "sample_weight"),
    ],
)
def test_what_is_wrong_is_named(wrong, where, came):
    with pytest.raises(InputError) as caught:
        check_classifier(wrong)
    (problem,) = caught.value.problems
    assert problem.where == where
    assert came in problem.came


def test_estimators_may_be_nested_and_all_get_the_seed():
    nested = classifier(
        "sklearn.ensemble.AdaBoostClassifier",
        grid={"estimator__max_depth": [1, 2]},
        estimator={"_target_": "sklearn.tree.DecisionTreeClassifier", "max_depth": 1},
    )
    check_classifier(nested)
    estimator = make_estimator(nested, seed=7)
    assert (estimator.random_state, estimator.estimator.random_state, estimator.estimator.max_depth) == (7, 7, 1)


def test_an_estimator_without_randomness_is_made_too():
    assert make_estimator(classifier("sklearn.naive_bayes.GaussianNB"), seed=7).get_params()["priors"] is None
