import json
from typing import Any

import numpy as np
import pytest

from fusion.errors import FusionError
from fusion.records import Case, ClinicalColumn, Cohort, Value
from fusion.splits.folds import make_folds
from fusion.tabular.clinical import ClinicalEncoder

AGE = ClinicalColumn(name="age", kind="number", unit="years")
GLAND = ClinicalColumn(name="gland", kind="category")
GRADE = ClinicalColumn(name="grade", kind="ordered", levels=("low", "middle", "high", "worst"))
SIGNS = ClinicalColumn(name="signs", kind="set")
PAIN = ClinicalColumn(name="pain", kind="yes_no")


def cases(**columns: list[Any]) -> list[Case]:
    rows = zip(*columns.values(), strict=True)
    return [row(str(i), **dict(zip(columns, values, strict=True))) for i, values in enumerate(rows)]


def row(case_id: str = "new", /, **clinical: Value) -> Case:
    return Case(
        case_id=case_id,
        patient_id=case_id,
        center="A",
        image=None,
        mask=None,
        label=("benign", "malignant")[len(case_id) % 2],
        clinical=clinical,
    )


def fit(column: ClinicalColumn, *values: Value, clip: float = 5.0) -> ClinicalEncoder:
    return ClinicalEncoder.fit([column], cases(**{column.name: list(values)}), clip=clip)


def encode(encoder: ClinicalEncoder, **clinical: Value) -> dict[str, float]:
    values, _ = encoder.transform([row(**clinical)])
    assert values.dtype == np.float32
    return dict(zip(encoder.inputs, values[0].tolist(), strict=True))


@pytest.fixture
def training() -> list[Case]:
    return cases(
        age=[40.0, 60.0, None, 80.0],
        gland=["parotid", "sublingual", "parotid", None],
        grade=["low", "high", "high", "low"],
        signs=[frozenset({"b", "a"}), frozenset(), frozenset({"a"}), frozenset({"a"})],
        pain=[1.0, 0.0, 0.0, None],
    )


@pytest.fixture
def encoder(training: list[Case]) -> ClinicalEncoder:
    return ClinicalEncoder.fit([AGE, GLAND, GRADE, SIGNS, PAIN], training, clip=5.0)


def test_a_number_is_standardized() -> None:
    # Mean 60, population standard deviation sqrt(800 / 3).
    encoder = fit(AGE, 40.0, 60.0, 80.0)
    assert encode(encoder, age=80.0) == {"age": pytest.approx(20 / (800 / 3) ** 0.5)}
    assert encode(encoder, age=60.0) == {"age": 0.0}


def test_a_number_is_clipped_on_both_sides() -> None:
    encoder = fit(AGE, -1.0, 1.0, clip=2.5)
    assert [encode(encoder, age=age)["age"] for age in (2.0, 1e9, -1e9)] == [2.0, 2.5, -2.5]


def test_yes_and_no_are_standardized() -> None:
    # A quarter says yes: mean 1/4, standard deviation sqrt(3) / 4.
    encoder = fit(PAIN, 1.0, 0.0, 0.0, 0.0)
    assert encode(encoder, pain=1.0) == {"pain": pytest.approx(3**0.5)}
    assert encode(encoder, pain=0.0) == {"pain": pytest.approx(-(3**-0.5))}


def test_an_ordered_column_is_its_standardized_rank_even_of_levels_that_training_lacks() -> None:
    # Ranks 0 and 2: mean 1, standard deviation 1.
    encoder = fit(GRADE, "low", "high")
    ranks = [encode(encoder, grade=grade)["grade"] for grade in GRADE.levels]
    assert ranks == [-1.0, 0.0, 1.0, 2.0]


def test_an_ordered_level_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(FusionError, match=r"column 'grade': .* low, middle, high, worst, came 'terminal'; describe"):
        encode(fit(GRADE, "low", "high"), grade="terminal")


def test_a_category_is_one_input_a_level_of_training() -> None:
    encoder = fit(GLAND, "sublingual", "parotid", "sublingual")
    assert encoder.inputs == ("gland=parotid", "gland=sublingual")
    assert encode(encoder, gland="sublingual") == {"gland=parotid": 0.0, "gland=sublingual": 1.0}
    assert encode(encoder, gland="lacrimal") == {"gland=parotid": 0.0, "gland=sublingual": 0.0}
    assert encode(encoder, gland=None) == {"gland=parotid": 0.0, "gland=sublingual": 0.0}


def test_a_set_is_one_input_an_element() -> None:
    encoder = fit(SIGNS, frozenset({"b", "a"}), frozenset(), frozenset({"a"}))
    assert encode(encoder, signs=frozenset({"a", "new"})) == {"signs=a": 1.0, "signs=b": 0.0}
    assert encode(encoder, signs=frozenset()) == {"signs=a": 0.0, "signs=b": 0.0}


@pytest.mark.parametrize(
    ("column", "known"),
    [
        (AGE, (40.0, 60.0)),
        (GLAND, ("parotid", "sublingual")),
        (GRADE, ("low", "high")),
        (SIGNS, (frozenset({"a"}), frozenset())),
        (PAIN, (1.0, 0.0)),
    ],
)
def test_an_indicator_stands_where_training_had_missing_values_and_only_there(
    column: ClinicalColumn, known: tuple[Value, ...]
) -> None:
    flag = f"{column.name}=missing"
    with_missing, without = fit(column, *known, None), fit(column, *known)
    assert flag not in without.inputs
    assert with_missing.inputs == (*without.inputs, flag)
    assert encode(with_missing, **{column.name: None})[flag] == 1.0
    assert encode(with_missing, **{column.name: known[0]})[flag] == 0.0
    # Missing is the training mean, no level and no element.
    assert {value for name, value in encode(with_missing, **{column.name: None}).items() if name != flag} == {0.0}
    assert set(encode(without, **{column.name: None}).values()) == {0.0}


def test_a_column_that_the_row_does_not_have_is_missing(encoder: ClinicalEncoder) -> None:
    values = encode(encoder, gland="parotid")
    assert (values["age"], values["age=missing"], values["gland=parotid"]) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (AGE, 60.0),
        # The computed standard deviation of three times 0.1 is 1e-17.
        (AGE, 0.1),
        (PAIN, 0.0),
        (GRADE, "high"),
        (GLAND, "parotid"),
        (SIGNS, frozenset({"a"})),
        (SIGNS, frozenset()),
        (AGE, None),
        (GLAND, None),
    ],
)
def test_a_column_that_says_the_same_of_everybody_is_dropped(column: ClinicalColumn, value: Value) -> None:
    encoder = fit(column, value, value, value)
    assert encoder.inputs == ()
    values, known = encoder.transform([row(**{column.name: value})])
    assert values.shape == (1, 0)
    assert known.tolist() == [False]


@pytest.mark.parametrize(("column", "value", "other"), [(AGE, 0.1, 99.0), (PAIN, 1.0, 0.0), (GRADE, "low", "worst")])
def test_of_one_value_and_missing_ones_only_the_indicator_speaks(
    column: ClinicalColumn, value: Value, other: Value
) -> None:
    encoder = fit(column, value, value, value, None)
    for known in (value, other):
        assert encode(encoder, **{column.name: known}) == {column.name: 0.0, f"{column.name}=missing": 0.0}
    assert encode(encoder, **{column.name: None})[f"{column.name}=missing"] == 1.0


def test_a_set_that_was_empty_or_missing_keeps_its_indicator() -> None:
    assert fit(SIGNS, frozenset(), None).inputs == ("signs=missing",)


def test_inputs_and_groups_follow_the_columns(encoder: ClinicalEncoder) -> None:
    assert encoder.inputs == (
        "age",
        "age=missing",
        "gland=parotid",
        "gland=sublingual",
        "gland=missing",
        "grade",
        "signs=a",
        "signs=b",
        "pain",
        "pain=missing",
    )
    assert encoder.groups == (
        ("age", "number", 2),
        ("gland", "category", 3),
        ("grade", "ordered", 1),
        ("signs", "set", 2),
        ("pain", "yes_no", 2),
    )


def test_an_empty_row_is_not_present_and_not_fitted_on(training: list[Case]) -> None:
    columns = [AGE, GLAND, GRADE, SIGNS, PAIN]
    encoder = ClinicalEncoder.fit(columns, training, clip=5.0)
    assert ClinicalEncoder.fit(columns, [*training, row()], clip=5.0) == encoder
    asked = [row(), row(age=None, gland=None), row(unknown="x"), row(pain=0.0), row(signs=frozenset())]
    _, known = encoder.transform(asked)
    assert known.tolist() == [False, False, False, True, True]


def test_nobody_to_fit_on_keeps_no_column() -> None:
    encoder = ClinicalEncoder.fit([AGE, GLAND], [row()], clip=5.0)
    assert (encoder.inputs, encoder.groups) == ((), ())
    values, known = encoder.transform([])
    assert (values.shape, known.shape) == ((0, 0), (0,))


def test_patients_outside_training_change_nothing() -> None:
    rng = np.random.default_rng(0)

    def patient(number: int) -> Case:
        return row(
            "x" * (number + 1),
            age=float(rng.normal(60, 10)),
            gland=str(rng.choice(["parotid", "sublingual"])),
            signs=frozenset(rng.choice(["a", "b"], size=1).tolist()),
        )

    plain = [patient(number) for number in range(40)]

    def state_with(changed: frozenset[str]) -> dict[str, Any]:
        extreme: dict[str, Value] = {"age": 1e9, "gland": "never seen", "signs": frozenset({"never seen"})}
        given = [row(case.case_id, **extreme) if case.patient_id in changed else case for case in plain]
        return ClinicalEncoder.fit(
            [AGE, GLAND, SIGNS], [case for case in given if case.patient_id in fold.train], clip=5.0
        ).state()

    cohort = Cohort(
        name="small",
        cases=tuple(plain),
        label_names=("benign", "malignant"),
        clinical_columns=(AGE, GLAND, SIGNS),
    )
    split = {"name": "holdout", "test_fraction": 0.3, "n_divisions": 1, "validation_fraction": 0.3}
    (fold,) = make_folds(cohort, split=split, seed=0)
    untouched = state_with(frozenset())
    assert state_with(fold.test | fold.validation) == untouched
    assert state_with(frozenset({min(fold.train)})) != untouched


def test_a_row_is_encoded_the_same_whoever_stands_beside_it(encoder: ClinicalEncoder, training: list[Case]) -> None:
    together, _ = encoder.transform(training)
    for number, case in enumerate(training):
        np.testing.assert_array_equal(encoder.transform([case])[0][0], together[number])


def test_it_survives_json_exactly(encoder: ClinicalEncoder, training: list[Case]) -> None:
    copy = ClinicalEncoder.from_state(json.loads(json.dumps(encoder.state())))
    assert copy == encoder
    assert copy.inputs == encoder.inputs
    np.testing.assert_array_equal(copy.transform(training)[0], encoder.transform(training)[0])
