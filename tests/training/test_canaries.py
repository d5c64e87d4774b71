"""Canaries: where nothing tells the outcome, every protocol and every model finds nothing.

Two kinds of nothing: noise in every input, and real signals under shuffled labels. The AUC has to lie in the null
interval of the Mann-Whitney statistic, whose standard error is √((n₀ + n₁ + 1) / (12 n₀ n₁)). With 56 canaries the
level is 99.9 %: at 95 % three of them would miss by chance. A leak, planted, breaks out of it by far.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from number_cohort import change
from sklearn.metrics import roc_auc_score

from fusion.classical.fold import fit_classical_fold
from fusion.records import Fold, Predictions
from fusion.runs.model import is_classical
from fusion.splits.folds import make_folds
from fusion.training.tuning import fit_tuned

SMALL = ("backbone.name=test_resnet", "imaging.n_px=32", "trainer.max_epochs=1", "trainer.precision=32-true")
PROTOCOLS = {
    "holdout": ("split=holdout", "split.test_fraction=0.5"),
    "kfold": ("split=kfold", "split.n_folds=3"),
    "repeated_kfold": ("split=repeated_kfold", "split.n_folds=2", "split.n_repeats=2"),
    "nested": ("split=nested", "split.n_folds=2", "split.n_inner_folds=2", "split.grid=[{l1: [0.0, 0.01]}]"),
    "center": ("split=center", "split.train=[A]", "split.test=[B]"),
    "leave_one_center_out": ("split=leave_one_center_out",),
    "column": ("split=column",),
}
# Their branches.
MODELS = {
    "fusion": ["image", "radiomics", "clinical"],
    "image": ["image"],
    "radiomics": ["radiomics"],
    "clinical": ["clinical"],
}
CLASSICAL = (
    "ultrasound",
    "clinical",
    "radiomics",
    "deep",
    "radiomics_deep",
    "combined",
    "composite",
    "late",
    "stacked",
)
# Filters and a penalty that let something through where there is nothing, so that there is something to overfit.
EAGER = (
    "split.n_inner_folds=3",
    "selection.filters=[{name: mann_whitney, max_p: 0.5, correction: none}]",
    "selection.lambda=min",
    "selection.n_folds=3",
    "selection.n_lambdas=20",
    "selection.n_bootstrap=0",
)
Compose = Callable[[Sequence[str]], dict[str, Any]]
N_PATIENTS = 80


def nothing(make_data: Callable[..., Any], kind: str) -> Any:
    """Data of which nothing tells the label, every case with every branch, in given folds of no meaning."""
    data = make_data(n_patients=N_PATIENTS, signal=0.0 if kind == "noise" else 1.5, seed=2)
    known = set(data.crops.case_ids) & set(data.features.case_ids)
    cases = [case for case in data.cohort.cases if case.case_id in known and case.clinical]
    patients = sorted({case.patient_id for case in cases})
    label_of = {case.patient_id: case.label for case in cases}
    drawn = np.random.default_rng(5).permutation([label_of[patient] for patient in patients])
    labels = dict(zip(patients, drawn.tolist(), strict=True)) if kind == "shuffled" else label_of
    fold_of = {patient: str(number % 2) for number, patient in enumerate(patients)}
    changed = (replace(case, label=labels[case.patient_id], fold=fold_of[case.patient_id]) for case in cases)
    return replace(data, cohort=replace(data.cohort, cases=tuple(changed)))


def area(rows: Predictions) -> float:
    return float(roc_auc_score([label == "malignant" for label in rows.labels], rows.probabilities[:, 1]))


@pytest.mark.parametrize("kind", ["noise", "shuffled"])
@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_nothing_is_found_where_there_is_nothing(
    make_data: Callable[..., Any], compose: Compose, protocol: str, model: str, kind: str
) -> None:
    data = nothing(make_data, kind)
    # One configuration for all models: to compose it takes as long as to fit one of them.
    config = change(compose([*SMALL, *PROTOCOLS[protocol]]), {"model.branches": MODELS[model]})
    assert_chance(data, config)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A cache for each kind of nothing: models share their backbones and selections, as in a sweep."""
    return {kind: tmp_path_factory.mktemp(kind) for kind in ("noise", "shuffled")}


@pytest.mark.parametrize("kind", ["noise", "shuffled"])
@pytest.mark.parametrize("model", CLASSICAL)
def test_no_classical_model_finds_anything_where_there_is_nothing(
    make_data: Callable[..., Any], compose: Compose, kept: dict[str, Path], model: str, kind: str
) -> None:
    data = nothing(make_data, kind)
    # The second and third column count as findings.
    columns = tuple(
        replace(column, source="ultrasound") if column.name != "age" else column
        for column in data.cohort.clinical_columns
    )
    data = replace(data, cohort=replace(data.cohort, clinical_columns=columns))
    config = compose([f"model={model}", *SMALL, *PROTOCOLS["kfold"], *EAGER])
    assert_chance(data, config | {"cache_dir": str(kept[kind])})


def test_a_planted_leak_breaks_the_canary(make_data: Callable[..., Any], compose: Compose) -> None:
    """Features that are made with the label, as selection or scaling on all rows would tell a little of it."""
    data = nothing(make_data, "noise")
    label_of = {case.case_id: case.label == "malignant" for case in data.cohort.cases}
    values = data.features.values.copy()
    values[:, 0] += [2.0 * label_of.get(case_id, False) for case_id in data.features.case_ids]
    leaking = replace(data, features=replace(data.features, values=values))
    config = compose([*SMALL, *PROTOCOLS["kfold"]])
    longer = change(config, {"model.branches": MODELS["radiomics"], "trainer.max_epochs": 10})
    with pytest.raises(AssertionError):
        assert_chance(leaking, longer)


def fit_of(data: Any, outer: Fold) -> Callable[..., Any]:
    """Of the network, or of a classical model whose scores are out of fold within the outer fold."""

    def fit(part: Fold, config: dict[str, Any], title: str) -> Any:
        if not is_classical(config["model"]):
            return data.fit_and_score(part, config, title)
        tables = {"crops": data.crops, "features": data.features}
        return fit_classical_fold(data.cohort, part, outer=outer, config=config, title=title, is_own=False, **tables)

    return fit


def assert_chance(data: Any, config: dict[str, Any]) -> None:
    areas, weights = [], []
    for fold in make_folds(data.cohort, split=config["split"], seed=0):
        tuned = fit_tuned(data.cohort, fold, config=config, fit=fit_of(data, fold), score=area)
        tested = tuned.calibrated("platt").fit.predictions
        tested = tested.select(part == "test" for part in tested.parts)
        n_positive = tested.labels.count("malignant")
        areas.append(area(tested))
        weights.append((len(tested.labels) + 1) / (12 * n_positive * (len(tested.labels) - n_positive)))
    # Folds of a repeat share no test patients; repeats do, so they count as one.
    n_repeats = config["split"].get("n_repeats", 1)
    standard_error = math.sqrt(sum(weights) * n_repeats) / len(areas)
    assert abs(np.mean(areas) - 0.5) < 3.29 * standard_error, (areas, standard_error)
