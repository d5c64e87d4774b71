"""Canaries: nothing of a test patient reaches what a fold freezes, and a planted leak of each kind is noticed.

Two runs of a fold differ in the test patients alone: their pixels, features, clinical values, centers and labels become
nonsense in one of them. Everything that the fold learned has to be the same in both, to the last bit. That this would
notice a leak is shown by planting one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from number_cohort import complete

from fusion.imaging.store import Crops
from fusion.records import Case, FeatureTable, Fold
from fusion.runs.folder import RunFolder
from fusion.runs.model import is_classical
from fusion.tabular.harmonize import CombatHarmonizer
from fusion.training import fit as fitting
from fusion.training import tuning
from fusion.training.checkpoint import read_checkpoint

SMALL = (
    "backbone.name=test_resnet",
    "imaging.n_px=32",
    "trainer.max_epochs=1",
    "trainer.precision=32-true",
    "explain=none",
    "evaluation.n_bootstrap=100",
)
CLASSICAL = (
    "split.n_inner_folds=3",
    "selection.n_folds=3",
    "selection.n_lambdas=20",
    "selection.n_bootstrap=0",
    "selection.lambda=min",
    "selection.filters=[{name: mann_whitney, max_p: 0.3, correction: none}]",
)
# What a fold can learn beyond the weights of a plain fit.
LEARNING = {
    "plain": ("split=holdout",),
    "platt": ("split=holdout", "calibration=platt"),
    "isotonic, out of fold": ("split=holdout", "split.n_inner_folds=2", "calibration=isotonic"),
    "nested": ("split=nested", "split.n_inner_folds=2", "split.grid=[{l1: [0.0, 0.001]}]", "calibration=temperature"),
    "combat": ("split=holdout", "harmonization=combat", "harmonization.unseen=reference"),
    "composite": ("split=holdout", "model=composite", *CLASSICAL),
    "joined features, smote": ("split=holdout", "model=radiomics_deep", "classifier.imbalance=smote", *CLASSICAL),
    "late, platt": ("split=holdout", "model=late", "calibration=platt", *CLASSICAL),
}
Compose = Callable[[Sequence[str]], dict[str, Any]]


@pytest.fixture(scope="module")
def train(root: Path) -> ModuleType:
    """train.py, without running it."""
    spec = importlib.util.spec_from_file_location("train", root / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spoiled(data: Any) -> Any:
    """The data with nonsense in place of the test patients."""
    fold, cohort = data.fold, data.cohort
    tested = {case.case_id for case in cohort.cases if case.patient_id in fold.test}
    crops = data.crops.array.copy()
    crops[[row for row, case_id in enumerate(data.crops.case_ids) if case_id in tested]] = 255
    values = data.features.values.copy()
    values[[row for row, case_id in enumerate(data.features.case_ids) if case_id in tested]] *= -1000.0
    flipped = dict(zip(cohort.label_names, reversed(cohort.label_names), strict=True))
    nonsense = {"age": 1e9, "shape": "never seen", "grade": None}

    def spoil(case: Case) -> Case:
        if case.case_id not in tested:
            return case
        return replace(case, clinical=nonsense, label=flipped[case.label], center="B" if case.center == "A" else "A")

    return replace(
        data,
        cohort=replace(cohort, cases=tuple(map(spoil, cohort.cases))),
        crops=Crops(case_ids=data.crops.case_ids, array=crops, key="spoiled"),
        features=FeatureTable(case_ids=data.features.case_ids, names=data.features.names, values=values),
    )


def learned(train: ModuleType, data: Any, config: dict[str, Any], out_dir: Path) -> dict[str, Any]:
    """The model that a fold's training leaves on disk."""
    config = config | {"cache_dir": str(out_dir / "kept")}
    run = RunFolder.begin(out_dir, config)
    run.write_split(data.cohort, [data.fold])
    train.train_fold(data.cohort, data.fold, data.crops, data.features, config, run)
    return read_checkpoint(run.models[0])


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What two models have learned differently. The split's hash is of the centers, too, and those are nonsense."""
    assert one.keys() == other.keys()
    return [name for name in one if name != "split_sha256" and not same(one[name], other[name])]


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit."""
    if isinstance(one, torch.Tensor) and one.dtype == torch.uint8:
        # An estimator's bytes hold the time of writing; what it says of fixed rows stands beside them.
        return True
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


@pytest.fixture
def leaks(
    train: ModuleType, make_data: Callable[..., Any], compose: Compose, tmp_path: Path
) -> Callable[..., list[str]]:
    """What differs where the test patients do."""

    def compare(*overrides: str) -> list[str]:
        data, config = make_data(n_patients=60), compose([*SMALL, *overrides])
        if is_classical(config["model"]):
            data = complete(data)
        models = [learned(train, each, config, tmp_path / name) for name, each in (("a", data), ("b", spoiled(data)))]
        return differences(*models)

    return compare


@pytest.mark.parametrize("learning", LEARNING.values(), ids=list(LEARNING))
def test_nothing_of_a_test_patient_reaches_what_a_fold_freezes(leaks: Any, learning: tuple[str, ...]) -> None:
    assert leaks(*learning) == []


def test_preprocessing_on_all_rows_would_be_noticed(leaks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_on_everybody(monkeypatch)
    found = leaks("split=holdout")
    assert {"scaler", "state_dict"} <= set(found)


def test_harmonization_on_all_rows_would_be_noticed(leaks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_on_everybody(monkeypatch)
    harmonizers = remember_harmonizers(monkeypatch)
    leaks(*LEARNING["combat"])
    one, other = harmonizers
    assert one != other


def test_harmonization_does_not_depend_on_the_test_part(leaks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    harmonizers = remember_harmonizers(monkeypatch)
    assert leaks(*LEARNING["combat"]) == []
    one, other = harmonizers
    assert one == other


def remember_harmonizers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The states of the harmonizers that are fitted from now on."""
    original, states = CombatHarmonizer.fit, []

    def fit(values: Any, cases: Any, **options: Any) -> CombatHarmonizer:
        fitted = original(values, cases, **options)
        states.append(fitted.state())
        return fitted

    monkeypatch.setattr(CombatHarmonizer, "fit", fit)
    return states


def test_clinical_encoding_on_all_rows_would_be_noticed(leaks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = fitting.ClinicalEncoder.fit
    everybody = remember_everybody(monkeypatch)
    monkeypatch.setattr(
        fitting.ClinicalEncoder, "fit", lambda columns, cases, clip: original(columns, everybody, clip=clip)
    )
    assert {"encoder", "state_dict"} <= set(leaks("split=holdout"))


def prepare_on_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    original = fitting.RadiomicsScaler.fit
    everybody = remember_everybody(monkeypatch)
    monkeypatch.setattr(
        fitting.RadiomicsScaler, "fit", lambda table, cases, **options: original(table, everybody, **options)
    )


def remember_everybody(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """All cases of the cohort, training and test, once a fit has begun: what a leak would be made of."""
    everybody: list[Case] = []
    fold_fit = fitting.fit_fold

    def fit_fold(cohort: Any, **options: Any) -> Any:
        everybody[:] = cohort.cases
        return fold_fit(cohort, **options)

    monkeypatch.setattr(fitting, "fit_fold", fit_fold)
    return everybody


def test_a_threshold_and_a_calibration_on_the_test_part_would_be_noticed(
    leaks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = tuning._held_out

    def on_test(fit: Any, inner: Fold, outer: Fold) -> Any:
        rows = fit.predictions.select(part == "test" for part in fit.predictions.parts)
        n_rows = len(rows.patient_ids)
        return replace(rows, parts=("validation",) * n_rows, folds=(outer.number,) * n_rows) if n_rows else original

    monkeypatch.setattr(tuning, "_held_out", on_test)
    assert {"thresholds", "threshold", "calibrator"} <= set(leaks("split=holdout", "calibration=platt"))


def test_tuning_on_the_test_part_would_be_noticed(leaks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = tuning.make_inner_folds

    def with_test_patients(cohort: Any, fold: Fold, *, split: Any) -> tuple[Fold, ...]:
        first, *others = original(cohort, fold, split=split)
        return replace(first, test=fold.test), *others

    monkeypatch.setattr(tuning, "make_inner_folds", with_test_patients)
    assert "thresholds" in leaks(*LEARNING["nested"])


def test_a_classical_stage_on_the_test_part_would_be_noticed(leaks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fusion.classical import fold as classical_fold

    original = classical_fold.whole_training

    def with_test_patients(fold: Fold) -> Fold:
        kept, *taken = sorted(fold.test)
        return original(replace(fold, train=fold.train.union(taken), test=frozenset({kept})))

    monkeypatch.setattr(classical_fold, "whole_training", with_test_patients)
    assert {"entries", "final"} <= set(leaks("split=holdout", "model=radiomics", *CLASSICAL))


def test_early_stopping_on_the_test_part_would_be_noticed(leaks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fold_fit = fitting.fit_fold

    def stop_on_test(cohort: Any, *, fold: Fold, **options: Any) -> Any:
        return fold_fit(cohort, fold=replace(fold, validation=fold.test, test=fold.validation), **options)

    monkeypatch.setattr(fitting, "fit_fold", stop_on_test)
    assert "state_dict" in leaks("split=holdout", "trainer.max_epochs=6")


@pytest.mark.parametrize("part", [(0, 1), (0, 2), (1, 2)])
def test_a_patient_in_two_parts_cannot_be_expressed(part: tuple[int, int]) -> None:
    parts = [{"a"}, {"b"}, {"c"}]
    for which in part:
        parts[which].add("shared")
    train, validation, test = map(frozenset, parts)
    with pytest.raises(ValueError, match="patients in two parts"):
        Fold(number=0, seed=0, train=train, validation=validation, test=test)


def test_in_sample_scores_would_be_too_good(
    make_data: Callable[..., Any], compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of noise, a model's scores of its own training patients look like knowledge; the inner predictions do not."""
    from sklearn.metrics import roc_auc_score

    # Of noise the first epoch is the best one; to the end, the network learns its patients by heart.
    monkeypatch.setattr(fitting.BestWeights, "restore", lambda self, network: None)
    data = make_data(n_patients=80, signal=0.0, seed=1)
    data = replace(
        data,
        features=FeatureTable(
            case_ids=data.features.case_ids,
            names=tuple(f"noise {i}" for i in range(200)),
            values=np.random.default_rng(0).normal(size=(len(data.features.case_ids), 200)),
        ),
    )
    config = compose(
        [*SMALL, "split=holdout", "split.n_inner_folds=3", "model.branches=[radiomics,clinical]", "l1=0",
         "trainer.max_epochs=15", "model.label_smoothing=0"]
    )  # fmt: skip
    tuned = tuning.fit_tuned(data.cohort, data.fold, config=config, fit=data.fit_and_score, score=lambda inner: 0.0)

    def auc(rows: Any) -> float:
        return float(roc_auc_score([label == "malignant" for label in rows.labels], rows.probabilities[:, 1]))

    in_sample = tuned.fit.predictions.select(part == "train" for part in tuned.fit.predictions.parts)
    # 56 training patients: the null standard error is 0.08.
    assert auc(in_sample) > 0.9
    assert abs(auc(tuned.inner) - 0.5) < 3.3 * 0.08
