from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusion.calibration.identity import Identity
from fusion.classical.blocks import ClinicalBlock, RadiomicsBlock
from fusion.classical.classifier import Classifier
from fusion.classical.columns import Features, Score
from fusion.classical.late import WeightedMean
from fusion.classical.model import CalibratedOutput
from fusion.classical.rows import Outcomes
from fusion.explanation.classical_inputs import explain_classical_inputs, with_given
from fusion.records import Case, ClinicalColumn, FeatureTable
from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.radiomics import RadiomicsScaler

SETTINGS = {"n_cases": 2, "n_background": 10, "max_evaluations": 8}
X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(float)
IDS = ["a", "b", "c", "d"]
# In this order: d, b, a, c; the middles of its halves are b and c, or with another ranking others.
RANKED = np.array([0.4, 0.2, 0.6, 0.1])


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
        model(classifier(target)),
        IDS,
        rows,
        probabilities=RANKED,
        settings={**SETTINGS, "max_evaluations": evaluations},
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
    table = explain_classical_inputs(model(mean), IDS, rows, probabilities=RANKED, settings=SETTINGS)
    assert table is not None
    assert table.case_ids == ("a", "c", "d")
    assert np.isfinite(table.values).all()


def test_a_model_without_inputs_has_no_table() -> None:
    assert (
        explain_classical_inputs(model(None, names=()), IDS, np.zeros((4, 0)), probabilities=RANKED, settings=SETTINGS)
        is None
    )


def blocks() -> tuple[list[Case], FeatureTable, dict[str, Any]]:
    """Four cases, their radiomics (the last has none), and what enters a final stage of every kind of block."""
    cases = [
        Case(
            case_id=case_id,
            patient_id=case_id,
            center="A",
            image=None,
            mask=None,
            label=None,
            clinical={"age": 40.0 + row, "shape": ("oval", "round", None, "oval")[row]},
        )
        for row, case_id in enumerate(IDS)
    ]
    features = FeatureTable(case_ids=("c", "a", "b"), names=("f", "g"), values=np.array([[3.0, 30], [1, 10], [2, 21]]))
    columns = [ClinicalColumn(name="age", kind="number"), ClinicalColumn(name="shape", kind="category")]
    scaler = RadiomicsScaler.fit(
        features,
        cases,
        stable=None,
        columns=(),
        harmonization={"name": "none"},
        max_correlation=1.0,
        clip=5.0,
    )
    deep: Any = SimpleNamespace(names=("deep_1",))
    unused: Any = None
    return (
        cases,
        features,
        {
            "deep": Features(block=deep),
            "clinical": Features(block=ClinicalBlock(ClinicalEncoder.fit(columns, cases, clip=5.0))),
            "radiomics": Features(block=RadiomicsBlock(scaler)),
            "ultrasound": Score(name="ultrasound score", block=unused, selected=unused),
        },
    )


def test_every_kind_of_input_has_beside_it_what_the_case_had() -> None:
    cases, features, entries = blocks()
    names = [name for entry in entries.values() for name in entry.names]
    assert names == [
        *("deep_1", "age", "shape=oval", "shape=round", "shape=missing", "f", "g", "ultrasound score"),
    ]
    joined = np.arange(4.0)[:, None] + np.arange(8.0) / 8
    joined[0, 7] = np.nan
    chosen = np.array([0, 1, 2, 4, 6, 7])
    explained: Any = SimpleNamespace(
        **vars(model(classifier("linear_model.LogisticRegression"))) | {"entries": entries, "chosen": chosen}
    )
    table = explain_classical_inputs(explained, IDS, X[:4], probabilities=RANKED, settings=SETTINGS)
    assert table is not None
    # Cases of the table alone, in its order.
    some = replace(
        table,
        case_ids=("d", "a", "c"),
        names=tuple(names[column] for column in chosen),
        values=np.zeros((3, 6)),
        standard_error=np.zeros((3, 6)),
        completeness_error=np.zeros(3),
    )
    given = with_given(some, explained, cases, joined, features=features).given
    assert given is not None
    assert given.scales == ("standardized", "table", "table", "table", "extracted", "logit")
    assert given.texts.tolist() == [
        ["3", "43", "yes", "no", "", "3.875"],
        ["0", "40", "yes", "no", "10", ""],
        ["2", "42", "", "yes", "30", "2.875"],
    ]
