from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusion.calibration.identity import Identity
from fusion.classical.classifier import Classifier
from fusion.classical.late import WeightedMean
from fusion.classical.model import CalibratedOutput
from fusion.classical.rows import Outcomes
from fusion.explanation.classical_inputs import explain_classical_inputs

SETTINGS = {"n_cases": 2, "n_background": 10, "max_evaluations": 8}
X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(float)
IDS = ["a", "b", "c", "d"]


def model(final: Any, names: tuple[str, ...] = ("age", "edge", "deep score"), calibrator: Any = None) -> Any:
    """As far as an explanation asks it."""
    return SimpleNamespace(
        final_names=names,
        final_rows=lambda joined: joined,
        background=X,
        output=CalibratedOutput(final=final, calibrator=calibrator or Identity()),
        fold=3,
    )


def classifier(target: str, **arguments: Any) -> Classifier:
    settings = {
        "name": "any",
        "estimator": {"_target_": f"sklearn.{target}", **arguments},
        "grid": {},
        "imbalance": "none",
    }
    return Classifier.fit(X, Y, classifier=settings, weights=np.ones(40), patients=np.arange(40), seed=0)


@pytest.mark.parametrize(
    ("target", "method", "evaluations", "ids"),
    [
        ("linear_model.LogisticRegression", "linear", 8, IDS),
        ("ensemble.ExtraTreesClassifier", "trees", 8, IDS),
        ("naive_bayes.GaussianNB", "coalitions", 8, IDS),
        # Fewer than all coalitions: some of the cases.
        ("naive_bayes.GaussianNB", "permutations", 7, ["b", "d"]),
    ],
)
def test_values_are_exact_wherever_they_can_be(target: str, method: str, evaluations: int, ids: list[str]) -> None:
    rows = X[:4] * 2
    table = explain_classical_inputs(
        model(classifier(target)), IDS, rows, settings={**SETTINGS, "max_evaluations": evaluations}
    )
    assert table is not None
    assert table.method == method
    assert len(table.case_ids) == len(ids)
    assert table.completeness_error.max() < 1e-6
    assert np.abs(table.values[:, 0]).mean() > np.abs(table.values[:, 1:]).mean(axis=0).max()


def test_a_case_that_lacks_a_score_of_a_mean_is_not_explained() -> None:
    mean = WeightedMean.fit(X, Outcomes(y=Y, weights=np.ones(40), patients=np.arange(40)))
    rows = X[:4].copy()
    rows[1, 2] = np.nan
    table = explain_classical_inputs(model(mean), IDS, rows, settings=SETTINGS)
    assert table is not None
    assert table.case_ids == ("a", "c", "d")
    assert np.isfinite(table.values).all()


def test_a_model_without_inputs_has_no_table() -> None:
    assert explain_classical_inputs(model(None, names=()), IDS, np.zeros((4, 0)), settings=SETTINGS) is None
