"""Stages are fitted on training patients; scores of training patients are out of fold, and that matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from number_cohort import complete
from sklearn.metrics import roc_auc_score

from fusion.classical import fit as fitting_module
from fusion.classical.columns import Score
from fusion.classical.fit import Fitting, fit_classical, whole_training
from fusion.classical.lasso import LassoPath
from fusion.classical.rows import Sources
from fusion.errors import FusionError
from fusion.records import FeatureTable, Fold
from fusion.splits.folds import make_inner_folds

RADIOMICS = {"inputs": {"radiomics": "score"}, "select": False}


def groups_of(fitting: Fitting, fold: Fold) -> list[frozenset[str]]:
    return [inner.test for inner in make_inner_folds(fitting.cohort, fold, split=fitting.config["split"])]


def noise(data: Any, n_features: int) -> Any:
    """The data with many features that say nothing."""
    table = data.features
    values = np.random.default_rng(1).normal(size=(len(table.case_ids), n_features))
    names = tuple(f"noise {number}" for number in range(n_features))
    return replace(data, features=FeatureTable(case_ids=table.case_ids, names=names, values=values))


def training_scores(fitting: Fitting, fold: Fold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, out-of-fold scores and in-sample scores of the training cases that have features."""
    seen: dict[str, np.ndarray] = {}
    original = fitting_module._fit_final

    def spy(fitting: Any, number: Any, entries: Any, joined: np.ndarray, *rest: Any) -> Any:
        seen["joined"] = joined
        return original(fitting, number, entries, joined, *rest)

    whole = whole_training(fold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting_module, "_fit_final", spy)
        fitted = fit_classical(fitting, whole, groups_of(fitting, fold))
    cases = [case for case in fitting.cohort.cases if case.patient_id in whole.train]
    in_sample = fitted.model.join(cases, fitting.sources)[:, 0]
    out_of_fold = seen["joined"][:, 0]
    known = ~np.isnan(out_of_fold)
    y = np.array([case.label == fitting.cohort.label_names[-1] for case in cases])
    return y[known], out_of_fold[known], in_sample[known]


def test_in_sample_scores_would_inflate_the_second_stage_on_noise_and_out_of_fold_ones_do_not(
    make_data: Callable[..., Any], fitting: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(complete(make_data(n_patients=120, signal=0.0)), 100)
    # Cross-validation would let nothing in; the weakest penalty learns the patients by heart.
    monkeypatch.setattr(LassoPath, "at", lambda self, rule: len(self.lambdas) - 1)
    y, out_of_fold, in_sample = training_scores(fitting(data, RADIOMICS), data.fold)
    # Mann-Whitney's standard error under the null, 3.29 of which hold 99.9 %.
    n1, n0 = int(y.sum()), int((~y).sum())
    standard_error = np.sqrt((len(y) + 1) / (12 * n0 * n1))
    assert roc_auc_score(y, in_sample) > 0.5 + 3.29 * standard_error
    assert abs(roc_auc_score(y, out_of_fold) - 0.5) < 3.29 * standard_error


def test_every_training_patient_is_scored_by_a_model_that_did_not_see_it(
    data: Any, fitting: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[set[str]] = []
    original = fitting_module._fit_score

    def spy(fitting: Any, name: str, block: Any, cases: Any) -> Any:
        stage, score = original(fitting, name, block, cases)
        patients = {case.patient_id for case in cases}
        learned.append(patients)

        class Watched:
            names = score.names

            def transform(self, scored: Any, sources: Sources) -> Any:
                # The model of all training patients scores others only.
                assert not patients & {case.patient_id for case in scored}
                return score.transform(scored, sources)

        return stage, Watched()

    made = fitting(data, RADIOMICS)
    whole = whole_training(data.fold)
    monkeypatch.setattr(fitting_module, "_fit_score", spy)
    monkeypatch.setattr(fitting_module, "_fit_final", lambda *_: None)
    fit_classical(made, whole, groups_of(made, data.fold))
    assert learned[0] == whole.train
    assert len(learned) == 4  # The whole, and one for each of three groups.
    assert not any(patients & data.fold.test for patients in learned)


def test_a_fit_within_an_inner_fold_reuses_what_the_outer_one_kept(
    make_data: Callable[..., Any], fitting: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = complete(make_data(n_patients=60))
    made = fitting(data, {"inputs": {"deep": "score"}, "select": False})
    fits: list[str] = []
    from fusion.classical import deep

    original = deep.fit_fold
    monkeypatch.setattr(deep, "fit_fold", lambda *args, **kwargs: (fits.append("fit"), original(*args, **kwargs))[1])
    groups = groups_of(made, data.fold)
    fit_classical(made, whole_training(data.fold), groups)
    assert len(fits) == 1 + 3
    for group in groups:
        inner = replace(whole_training(data.fold), train=frozenset().union(*groups) - group)
        fit_classical(replace(made, is_own=False), inner, groups)
    # Of each inner fold the whole was kept; what is left is a model without every pair of groups, each fitted once.
    assert len(fits) == 1 + 3 + 3


def test_features_enter_as_they_are_and_scores_as_one_column(data: Any, fitting: Callable[..., Fitting]) -> None:
    made = fitting(data, {"inputs": {"clinical": "features", "radiomics": "score"}, "select": False})
    fitted = fit_classical(made, whole_training(data.fold), groups_of(made, data.fold))
    model = fitted.model
    assert isinstance(model.entries["radiomics"], Score)
    assert model.names == (*model.entries["clinical"].names, "radiomics score")
    assert [stage.name for stage in fitted.stages] == ["radiomics"]


def test_the_final_selection_decides_what_the_classifier_sees(
    make_data: Callable[..., Any], fitting: Callable[..., Fitting]
) -> None:
    data = complete(make_data(n_patients=60, signal=2.0))
    made = fitting(data, {"inputs": {"radiomics": "features"}, "select": True}, selection__lambda="1se")
    fitted = fit_classical(made, whole_training(data.fold), groups_of(made, data.fold))
    assert "feature 0" in fitted.model.final_names  # It carries the signal.
    assert len(fitted.model.final_names) < 6
    assert fitted.model.final.linear is not None
    assert len(fitted.model.final.linear[0]) == len(fitted.model.final_names)


def test_a_model_without_any_input_is_refused(data: Any, fitting: Callable[..., Fitting]) -> None:
    made = fitting(data, {"name": "ultrasound", "inputs": {"ultrasound": "features"}, "select": False})
    with pytest.raises(FusionError, match=r"model=ultrasound: required values of ultrasound.*source: ultrasound"):
        fit_classical(made, whole_training(data.fold), groups_of(made, data.fold))


def test_the_validation_part_is_learned_from() -> None:
    fold = Fold(number=0, seed=0, train=frozenset("a"), validation=frozenset("b"), test=frozenset("c"))
    assert whole_training(fold) == replace(fold, train=frozenset("ab"), validation=frozenset())
