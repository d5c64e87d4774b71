from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fusion.errors import FusionError
from fusion.records import FeatureTable
from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.radiomics import RadiomicsScaler
from fusion.training.inputs import UNKNOWN, Inputs, assemble_inputs, make_loader


@pytest.fixture
def assemble(data: Any) -> Callable[..., Inputs]:
    encoder = ClinicalEncoder.fit(data.cohort.clinical_columns, data.cohort.cases, clip=5.0)
    scaler = RadiomicsScaler.fit(
        data.features,
        data.cohort.cases,
        stable=None,
        columns=data.cohort.clinical_columns,
        harmonization={"name": "none"},
        max_correlation=0.95,
        clip=5.0,
    )

    def make(cases: Any = data.cohort.cases, features: FeatureTable = data.features) -> Inputs:
        return assemble_inputs(
            cases,
            crops=data.crops,
            features=features,
            encoder=encoder,
            scaler=scaler,
            label_names=data.cohort.label_names,
        )

    return make


def test_presence_says_what_each_case_has(data: Any, assemble: Callable[..., Inputs]) -> None:
    inputs = assemble()
    lacking = {
        case.case_id: tuple(row)
        for case, row in zip(inputs.cases, inputs.present.tolist(), strict=True)
        if not all(row)
    }
    assert lacking == {
        "case 2/0": (False, False, True),
        "case 3/0": (True, False, True),
        "case 4/0": (True, True, False),
    }
    assert (inputs.radiomics[~inputs.present[:, 1]] == 0).all()
    assert inputs.present_in(["clinical", "image"]).tolist() == inputs.present[:, [2, 0]].tolist()


def test_rows_are_joined_by_case_id_and_not_by_position(data: Any, assemble: Callable[..., Inputs]) -> None:
    straight = assemble()
    order = np.random.default_rng(0).permutation(len(data.features.case_ids))
    shuffled = FeatureTable(
        case_ids=tuple(data.features.case_ids[i] for i in order),
        names=data.features.names,
        values=data.features.values[order],
    )
    backwards = assemble(data.cohort.cases[::-1], shuffled)
    assert np.array_equal(backwards.radiomics[::-1], straight.radiomics)
    assert np.array_equal(backwards.crop_rows[::-1], straight.crop_rows)
    assert np.array_equal(backwards.labels[::-1], straight.labels)
    assert np.array_equal(backwards.clinical[::-1], straight.clinical)


def test_cases_that_are_not_asked_for_are_not_harmonized(data: Any) -> None:
    """Else the test part's centers would be refused while the training part is put together."""
    from dataclasses import replace

    combat = {"name": "combat", "parametric": True, "covariates": [], "reference": None, "min_patients": 2}
    cases = [replace(case, center="Z") if number > 20 else case for number, case in enumerate(data.cohort.cases)]
    scaler = RadiomicsScaler.fit(
        data.features,
        cases[:20],
        stable=None,
        columns=data.cohort.clinical_columns,
        harmonization={**combat, "unseen": "refuse"},
        max_correlation=0.95,
        clip=5.0,
    )
    given: Any = {
        "crops": data.crops,
        "features": data.features,
        "encoder": ClinicalEncoder.fit(data.cohort.clinical_columns, cases, clip=5.0),
        "scaler": scaler,
        "label_names": data.cohort.label_names,
    }
    inputs = assemble_inputs(cases[:20], **given)
    known = [case for case in cases[:20] if case.case_id in data.features.case_ids]
    assert np.array_equal(inputs.radiomics[inputs.present[:, 1]], scaler.transform(data.features, known))
    with pytest.raises(FusionError, match="came center Z"):
        assemble_inputs(cases, **given)


def test_an_unknown_outcome_has_no_label(data: Any, assemble: Callable[..., Inputs]) -> None:
    from dataclasses import replace

    first, *others = data.cohort.cases
    inputs = assemble((replace(first, label=None), *others))
    assert inputs.labels[0] == UNKNOWN
    assert set(inputs.labels[1:].tolist()) == {0, 1}


def test_a_cohort_without_any_features_lacks_the_branch(assemble: Callable[..., Inputs]) -> None:
    """As extraction leaves it where no case has a mask: no rows, and so no names."""
    nothing = FeatureTable(case_ids=(), names=(), values=np.zeros((0, 0)))
    inputs = assemble(features=nothing)
    assert not inputs.present[:, 1].any()
    assert inputs.radiomics.shape == (len(inputs), 6)


def test_batches_hold_the_crops_of_their_rows(data: Any, assemble: Callable[..., Inputs]) -> None:
    inputs = assemble()
    weights = np.arange(len(inputs), dtype=np.float32)
    seen = []
    for batch in make_loader(inputs, weights=weights, batch_size=8, shuffle=True):
        assert batch.crops.dtype == torch.uint8
        for i, row in enumerate(batch.rows.tolist()):
            seen.append(row)
            case_id = inputs.cases[row].case_id
            if case_id in data.crops:
                assert np.array_equal(batch.crops[i].numpy(), data.crops.array[data.crops.index(case_id)])
            else:
                assert (batch.crops[i] == 0).all()
            assert batch.weights[i] == row
            assert np.array_equal(batch.radiomics[i].numpy(), inputs.radiomics[row])
    assert sorted(seen) == list(range(len(inputs)))


@pytest.mark.parametrize(("n_cases", "batch_size", "n_rows"), [(9, 4, 8), (8, 4, 8), (1, 4, 1), (3, 1, 3), (10, 4, 10)])
def test_a_rest_of_one_case_is_left_out_of_training_only(
    n_cases: int, batch_size: int, n_rows: int, data: Any, assemble: Callable[..., Inputs]
) -> None:
    inputs = assemble(data.cohort.cases[:n_cases])
    weights = np.ones(n_cases, dtype=np.float32)
    found = {
        shuffle: sum(
            len(batch.rows) for batch in make_loader(inputs, weights=weights, batch_size=batch_size, shuffle=shuffle)
        )
        for shuffle in (True, False)
    }
    assert found == {True: n_rows, False: n_cases}
