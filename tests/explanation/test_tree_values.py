from typing import Any

import numpy as np
import pytest

from fusion.calibration.calibrator import Calibrator
from fusion.calibration.identity import Identity
from fusion.calibration.isotonic import Isotonic
from fusion.calibration.platt import Platt
from fusion.classical.classifier import Classifier
from fusion.classical.model import CalibratedOutput
from fusion.explanation.coalitions import coalitions, shapley_values
from fusion.explanation.shap_values import logit
from fusion.explanation.tree_values import explain_trees

FORESTS = {
    name: {"_target_": f"sklearn.ensemble.{name}", "n_estimators": 5, "min_samples_leaf": 3, "n_jobs": 1}
    for name in ("RandomForestClassifier", "ExtraTreesClassifier")
}
BOOSTED = {
    "GradientBoostingClassifier": {"_target_": "sklearn.ensemble.GradientBoostingClassifier", "n_estimators": 5},
    "XGBClassifier": {"_target_": "xgboost.XGBClassifier", "n_estimators": 5, "n_jobs": 1},
    "LGBMClassifier": {
        "_target_": "lightgbm.LGBMClassifier",
        "n_estimators": 5,
        "n_jobs": 1,
        "min_child_samples": 5,
        "verbose": -1,
    },
}
PLATT = Platt(slopes=(1.7,), intercepts=(-0.3,))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = (X[:, 0] + X[:, 1] * X[:, 2] + 0.3 * RNG.normal(size=60) > 0.4).astype(int)
ROWS, BACKGROUND = RNG.normal(size=(5, 4)), X[:20]


def output(estimator: dict[str, Any], calibrator: Calibrator, imbalance: str = "none") -> CalibratedOutput:
    final = Classifier.fit(
        X,
        Y,
        classifier={"name": "trees", "estimator": estimator, "grid": {}, "imbalance": imbalance},
        weights=np.ones(60),
        patients=np.arange(60),
        seed=0,
    )
    return CalibratedOutput(final=final, calibrator=calibrator)


def explain(stage: CalibratedOutput) -> Any:
    ids = [f"case {row}" for row in range(len(ROWS))]
    return explain_trees(stage, names=list("abcd"), background=BACKGROUND, rows=ROWS, case_ids=ids)


def by_definition(stage: CalibratedOutput, unit: str) -> np.ndarray:
    """Over all coalitions, from what is reported of mixtures of the row and of background rows."""
    outputs = np.zeros((len(ROWS), 16))
    for row, own in enumerate(ROWS):
        for code, members in enumerate(coalitions(4)):
            p = stage.probabilities(np.where(members, own, BACKGROUND))
            outputs[row, code] = (logit(p) if unit == "logit" else p).mean()
    return shapley_values(outputs)


@pytest.mark.parametrize(
    ("estimator", "calibrator", "unit", "imbalance"),
    [
        *((estimator, Identity(), "probability", "none") for estimator in FORESTS.values()),
        *((estimator, Identity(), "logit", "none") for estimator in BOOSTED.values()),
        *((estimator, PLATT, "logit", "weights") for estimator in BOOSTED.values()),
    ],
    ids=lambda value: value["_target_"].rpartition(".")[2] if isinstance(value, dict) else None,
)
def test_values_are_those_of_the_definition(
    estimator: dict[str, Any], calibrator: Calibrator, unit: str, imbalance: str
) -> None:
    stage = output(estimator, calibrator, imbalance)
    table = explain(stage)
    assert (table.unit, table.method) == (unit, "trees")
    assert table.values == pytest.approx(by_definition(stage, unit), abs=1e-5)
    assert np.abs(table.values).max() > 0.05
    assert table.completeness_error.max() < 1e-5
    assert not table.standard_error.any()
    assert (table.case_ids[0], table.names) == ("case 0", ("a", "b", "c", "d"))


def test_a_sum_that_is_bent_after_the_trees_is_not_explained_by_them() -> None:
    forest, boosted = FORESTS["RandomForestClassifier"], BOOSTED["GradientBoostingClassifier"]
    steps = Isotonic(steps=(((0.2, 0.8), (0.1, 0.9)),))
    assert explain(output(forest, PLATT)) is None
    assert explain(output(forest, Identity(), "weights")) is None
    assert explain(output(boosted, steps)) is None


@pytest.mark.parametrize(
    "estimator",
    [
        {"_target_": "sklearn.neighbors.KNeighborsClassifier"},
        {**BOOSTED["GradientBoostingClassifier"], "loss": "exponential"},
        {**BOOSTED["XGBClassifier"], "booster": "dart"},
        {**BOOSTED["LGBMClassifier"], "boosting_type": "dart"},
    ],
    ids=["neighbors", "another loss", "xgboost's dart", "lightgbm's dart"],
)
def test_what_is_not_made_of_such_trees_is_left_to_others(estimator: dict[str, Any]) -> None:
    assert explain(output(estimator, Identity())) is None
