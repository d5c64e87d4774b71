from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from number_cohort import complete

from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.radiomics import RadiomicsScaler
from fusion.training.background import Background
from fusion.training.inputs import Inputs, assemble_inputs


def inputs_of(data: Any) -> Inputs:
    cases = data.cohort.cases
    encoder = ClinicalEncoder.fit(data.cohort.clinical_columns, cases, clip=5.0)
    settings: dict[str, Any] = {"harmonization": {"name": "none"}, "max_correlation": 1.0, "clip": 5.0}
    scaler = RadiomicsScaler.fit(data.features, cases, stable=None, columns=(), **settings)
    return assemble_inputs(
        cases,
        crops=data.crops,
        features=data.features,
        encoder=encoder,
        scaler=scaler,
        label_names=data.cohort.label_names,
    )


def places(rows: Any, among: Any) -> list[int]:
    return [int(np.flatnonzero((among == row).all(1))[0]) for row in rows]


def test_rows_are_of_cases_that_have_both_branches_evenly_spaced(make_data: Callable[..., Any]) -> None:
    inputs = inputs_of(make_data(n_patients=100))
    background = Background.of(inputs, ("image", "radiomics", "clinical"))
    assert len(background) == 50
    rows = places(background.radiomics, inputs.radiomics)
    np.testing.assert_array_equal(background.clinical, inputs.clinical[rows])
    assert inputs.present[rows, 1:].all()
    assert np.diff(rows).min() >= 1
    assert np.diff(rows).max() <= 5


def test_a_branch_that_the_network_does_not_have_is_not_asked_for(data: Any, drop: Callable[..., Any]) -> None:
    fewer = drop(data, patient="patient 0", branches=("clinical",))
    with_clinical = Background.of(inputs_of(fewer), ("radiomics", "clinical"))
    without = Background.of(inputs_of(fewer), ("image", "radiomics"))
    # Both views of patient 0, and patient 4.
    assert len(without) == len(with_clinical) + 3
    assert len(Background.of(inputs_of(data), ("image",))) == 0


def test_where_no_case_has_both_the_parts_are_of_different_cases(data: Any, drop: Callable[..., Any]) -> None:
    apart = data
    for number in range(30):
        apart = drop(apart, patient=f"patient {number}", branches=(("radiomics",), ("clinical",))[number % 2])
    inputs = inputs_of(apart)
    background = Background.of(inputs, ("radiomics", "clinical"))
    known = inputs.present[:, 1:]
    assert len(background) == min(known.sum(0)) > 10
    assert known[places(background.radiomics, inputs.radiomics), 0].all()
    assert (background.clinical != 0).any(axis=1).all()


def test_it_comes_back_from_a_checkpoint_and_older_ones_have_none(data: Any) -> None:
    background = Background.of(inputs_of(data), ("radiomics", "clinical"))
    again = Background.from_state(background.state())
    np.testing.assert_array_equal(again.radiomics, background.radiomics)
    np.testing.assert_array_equal(again.clinical, background.clinical)
    assert len(Background.from_state(None)) == 0


@pytest.mark.parametrize("branches", ["radiomics", "clinical", "radiomics+clinical"])
def test_a_fit_keeps_rows_of_its_training_part_alone(data: Any, branches: str) -> None:
    data = complete(data)
    model = data.fit(trainer__max_epochs=1, model__branches=branches.split("+"))
    train, test = (
        model.assemble(data.cases(part), crops=data.crops, features=data.features) for part in ("train", "test")
    )
    tabular = branches.split("+")[0]
    kept = getattr(model.background, tabular)
    assert len(places(kept, getattr(train, tabular))) == len(train) > 10
    assert not any((getattr(test, tabular) == row).all(axis=1).any() for row in kept)
