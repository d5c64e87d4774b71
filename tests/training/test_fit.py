from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fusion.errors import FusionError
from fusion.imaging.store import Crops
from fusion.records import FeatureTable
from fusion.training.fit import _balance, patient_weights


def same_weights(one: Any, other: Any) -> bool:
    own, others = one.network.state_dict(), other.network.state_dict()
    return own.keys() == others.keys() and all(torch.equal(values, others[name]) for name, values in own.items())


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(data: Any) -> None:
    first = data.fit()
    torch.rand(7)  # What was drawn before a fit does not matter.
    np.random.random(3)  # noqa: NPY002  # The global state is what is meant.
    again = data.fit()
    assert same_weights(first, again)
    assert np.array_equal(data.probabilities(first), data.probabilities(again))
    assert not same_weights(first, data.fit(seed=4))


def test_nothing_of_a_test_patient_reaches_the_fitted_model(data: Any) -> None:
    """The canary: pixels, features, clinical values, centers and labels of the test patients become nonsense."""
    fold, cohort = data.fold, data.cohort
    tested = {case.case_id for case in cohort.cases if case.patient_id in fold.test}
    crops = data.crops.array.copy()
    crops[[row for row, case_id in enumerate(data.crops.case_ids) if case_id in tested]] = 255
    values = data.features.values.copy()
    values[[row for row, case_id in enumerate(data.features.case_ids) if case_id in tested]] = np.nan
    nonsense = {"age": 1e9, "shape": "never seen", "grade": None}
    flipped = dict(zip(cohort.label_names, reversed(cohort.label_names), strict=True))
    cases = [
        replace(case, clinical=nonsense, label=flipped[case.label], center="elsewhere")
        if case.case_id in tested
        else case
        for case in cohort.cases
    ]
    spoiled = replace(
        data,
        cohort=replace(cohort, cases=tuple(cases)),
        crops=Crops(case_ids=data.crops.case_ids, array=crops, key="spoiled"),
        features=FeatureTable(case_ids=data.features.case_ids, names=data.features.names, values=values),
    )
    model, other = data.fit(l1=1e-3), spoiled.fit(l1=1e-3)
    assert same_weights(model, other)
    assert (model.encoder, model.scaler, model.prior_shift) == (other.encoder, other.scaler, other.prior_shift)
    without = replace(data, cohort=replace(cohort, cases=tuple(c for c in cohort.cases if c.case_id not in tested)))
    assert same_weights(model, without.fit(l1=1e-3))


def test_the_inner_part_chooses_the_epoch_but_fits_no_preprocessing(data: Any) -> None:
    inner = {case.case_id for case in data.cases("validation")}
    values = data.features.values.copy()
    values[[row for row, case_id in enumerate(data.features.case_ids) if case_id in inner]] += 100
    moved = replace(data, features=replace(data.features, values=values))
    model, other = data.fit(trainer__max_epochs=1), moved.fit(trainer__max_epochs=1)
    assert same_weights(model, other)
    assert model.scaler == other.scaler


def test_noise_is_not_learned(make_data: Callable[..., Any]) -> None:
    """Labels that nothing tells: pooled over cohorts, the test AUC has a null standard error of 0.06 (100 cases)."""
    labels, scores = [], []
    for seed in range(3):
        data = make_data(n_patients=100, signal=0.0, seed=seed)
        scores.append(data.probabilities(data.fit(seed=seed, trainer__max_epochs=3))[:, 1])
        labels += [case.label == "malignant" for case in data.cases("test")]
    assert 0.5 - 4 * 0.06 < roc_auc_score(labels, np.concatenate(scores)) < 0.5 + 4 * 0.06


def test_a_signal_is_learned(make_data: Callable[..., Any]) -> None:
    data = make_data(n_patients=60, signal=1.5)
    model = data.fit(trainer__max_epochs=12)
    labels = [case.label == "malignant" for case in data.cases("test")]
    assert roc_auc_score(labels, data.probabilities(model)[:, 1]) > 0.9


@pytest.mark.parametrize("head", ["gated", "concat"])
def test_three_labels_train_and_score(make_data: Callable[..., Any], head: str) -> None:
    data = make_data(n_patients=45, label_names=("normal", "benign", "malignant"), signal=1.5)
    model = data.fit(l1=1e-3, head__name=head, trainer__max_epochs=3)
    probabilities = data.probabilities(model)
    assert probabilities.shape == (len(data.cases("test")), 3)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert len(model.prior_shift) == 3


@pytest.mark.parametrize("branches", [["image"], ["clinical"], ["radiomics", "clinical"]])
def test_fewer_branches_train_and_score(data: Any, drop: Callable[..., Any], branches: list[str]) -> None:
    kept = [case for case in data.cohort.cases if case.patient_id not in {"patient 2", "patient 3", "patient 4"}]
    data = replace(data, cohort=replace(data.cohort, cases=tuple(kept)))
    model = data.fit(model__branches=branches, l1=1e-3)
    assert model.network.names == tuple(branches)
    assert np.isfinite(data.probabilities(model)).all()


def test_a_cohort_without_radiomics_or_clinical_columns_leaves_these_branches_out(data: Any) -> None:
    nothing = FeatureTable(case_ids=(), names=(), values=np.zeros((0, 0)))
    cases = tuple(replace(case, clinical={}) for case in data.cohort.cases if case.patient_id != "patient 2")
    bare = replace(data, features=nothing, cohort=replace(data.cohort, cases=cases, clinical_columns=()))
    model = bare.fit()
    assert model.network.names == ("image",)
    assert np.isfinite(bare.probabilities(model)).all()


def test_a_training_patient_without_any_branch_is_told(data: Any, drop: Callable[..., Any]) -> None:
    bare = drop(data, patient="patient 3", branches=("image", "clinical"))
    with pytest.raises(
        FusionError, match=r"image, radiomics, clinical for every case, came none for 1 case\(s\): case 3/0"
    ):
        bare.fit()


def test_a_larger_l1_leaves_fewer_features(data: Any) -> None:
    counts = [
        len(data.fit(l1=l1, trainer__max_epochs=15, model__branches=["radiomics", "clinical"]).feature_weights())
        for l1 in (0.0, 1e-2, 1.0)
    ]
    assert counts[0] == 6
    assert counts[0] > counts[1] >= counts[2]
    assert counts[2] <= 1


def test_mixed_precision_trains(data: Any) -> None:
    model = data.fit(trainer__precision="bf16-mixed", trainer__max_epochs=1)
    assert all(values.dtype != torch.bfloat16 for values in model.network.state_dict().values())
    assert np.isfinite(data.probabilities(model)).all()


def test_a_patient_counts_the_same_however_many_images(data: Any) -> None:
    inputs = data.fit(trainer__max_epochs=1).assemble(data.cases("train"), crops=data.crops, features=data.features)
    weights = patient_weights(inputs)
    assert weights.mean() == pytest.approx(1)
    by_patient: dict[str, float] = {}
    for case, weight in zip(inputs.cases, weights.tolist(), strict=True):
        by_patient[case.patient_id] = by_patient.get(case.patient_id, 0) + weight
    assert len(by_patient) == 15
    np.testing.assert_allclose(list(by_patient.values()), 18 / 15, rtol=1e-6)


def test_class_weights_count_patients_and_the_shift_undoes_them(data: Any) -> None:
    inputs = data.fit(trainer__max_epochs=1).assemble(data.cases("train"), crops=data.crops, features=data.features)
    class_weights, shift = _balance(inputs, 2)  # 8 benign and 7 malignant patients.
    np.testing.assert_allclose(class_weights, [15 / 16, 15 / 14], rtol=1e-6)
    np.testing.assert_allclose(shift, np.log([16 / 15, 14 / 15]))


def test_probabilities_are_of_the_training_prevalence(make_data: Callable[..., Any]) -> None:
    """A network that has learned the balanced loss of an uninformative cohort says 1/2; the shift makes it 1/4."""
    data = make_data(n_patients=80, signal=0.0)
    names = data.cohort.label_names
    rare = {patient: names[int(patient.split()[1]) % 4 == 0] for patient in data.cohort.patients}
    cases = tuple(replace(case, label=rare[case.patient_id]) for case in data.cohort.cases)
    data = replace(data, cohort=replace(data.cohort, cases=cases))
    model = data.fit(trainer__max_epochs=1, optimizer__lr=0.0, optimizer__lr_backbone=0.0, optimizer__lr_gates=0.0)
    for parameter in model.network.parameters():
        parameter.data.zero_()
    np.testing.assert_allclose(data.probabilities(model), [[0.75, 0.25]] * len(data.cases("test")), rtol=1e-6)
    trained = data.fit(trainer__max_epochs=6, trainer__patience=6)
    assert 0.12 < data.probabilities(trained)[:, 1].mean() < 0.42
