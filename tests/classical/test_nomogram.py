import math

import numpy as np
import pytest

from fusion.classical.nomogram import Axis, clinical_axes, nomogram_rows, number_axis, probability_ticks, round_values
from fusion.records import Case, ClinicalColumn
from fusion.tabular.clinical import ClinicalEncoder

COLUMNS = (
    ClinicalColumn(name="age", kind="number", unit="years"),
    ClinicalColumn(name="pain", kind="yes_no"),
    ClinicalColumn(name="grade", kind="ordered", levels=("low", "middle", "high")),
    ClinicalColumn(name="gland", kind="category"),
    ClinicalColumn(name="signs", kind="set"),
    ClinicalColumn(name="sex", kind="category"),
)
PATIENTS = [
    {"age": 20.0, "pain": 0.0, "grade": "low", "gland": "parotid", "signs": frozenset({"halo"}), "sex": "f"},
    {"age": 40.0, "pain": 1.0, "grade": "high", "gland": "minor", "signs": frozenset(), "sex": "m"},
    {"age": 60.0, "pain": None, "grade": "middle", "gland": "sublingual", "signs": frozenset({"duct"}), "sex": "f"},
    {"age": 88.0, "pain": 1.0, "grade": "low", "gland": None, "signs": frozenset({"duct", "halo"}), "sex": "m"},
]
COEFFICIENTS = {
    "age": 0.7,
    "pain": -0.4,
    "pain=missing": 0.25,
    "grade": 0.9,
    "gland=minor": 1.1,
    "gland=missing": -0.3,
    "signs=halo": 0.6,
    "another feature": 3.0,
}
INTERCEPT = -0.8


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def row(number, clinical):
    return Case(case_id=str(number), patient_id=str(number), center="A", image=None, mask=None, label=None,
                clinical=clinical)  # fmt: skip


@pytest.fixture(scope="module")
def encoder():
    return ClinicalEncoder.fit(COLUMNS, [row(*numbered) for numbered in enumerate(PATIENTS)], clip=5.0)


@pytest.fixture(scope="module")
def axes(encoder):
    return clinical_axes(
        encoder.columns, COEFFICIENTS, ranges={"age": (20.0, 88.0)}, units={"age": "years"}, clip=encoder.clip
    )


def texts_of(patient):
    """The tick of each variable that the patient stands at."""
    return {
        "age (years)": f"{patient['age']:g}",
        "pain": "missing" if patient["pain"] is None else ("no", "yes")[int(patient["pain"])],
        "grade": patient["grade"],
        "gland": {"minor": "minor", None: "missing"}.get(patient["gland"], "parotid or sublingual"),
        "signs: halo": "yes" if "halo" in patient["signs"] else "no",
    }


def test_the_points_of_a_patient_add_up_to_the_probability_of_the_model(encoder, axes):
    # As on paper: 100 points are the widest axis, and the probability is read at the total.
    spans = {axis.variable: [value for _, value in axis.ticks] for axis in axes}
    per_point = max(max(values) - min(values) for values in spans.values()) / 100
    lowest = INTERCEPT + sum(min(values) for values in spans.values())
    patients = [*PATIENTS[:3], PATIENTS[3] | {"age": 90.0}]
    values, _ = encoder.transform([row(*numbered) for numbered in enumerate(patients)])
    by_model = values @ np.array([COEFFICIENTS.get(name, 0.0) for name in encoder.inputs]) + INTERCEPT
    for patient, logit in zip(patients, by_model, strict=True):
        points = {
            axis.variable: (dict(axis.ticks)[texts_of(patient)[axis.variable]] - min(spans[axis.variable])) / per_point
            for axis in axes
        }
        assert all(-1e-9 <= point <= 100 + 1e-9 for point in points.values())
        assert sigmoid(lowest + sum(points.values()) * per_point) == pytest.approx(sigmoid(logit), abs=1e-6)


def test_contributions_by_hand(axes):
    found = {axis.variable: dict(axis.ticks) for axis in axes}
    assert list(found) == ["age (years)", "pain", "grade", "gland", "signs: halo"]
    # Ages 20, 40, 60, 88: mean 52, standard deviation sqrt((32² + 12² + 8² + 36²) / 4) = 25.1396.
    assert list(found["age (years)"]) == ["20", "30", "40", "50", "60", "70", "80", "90"]
    assert found["age (years)"]["20"] == pytest.approx(0.7 * -32 / 25.13961, abs=1e-6)
    # Pain 0, 1, 1: mean 2/3, standard deviation sqrt(2)/3; a missing value is put at the mean.
    assert found["pain"] == pytest.approx({"no": 0.4 * 2 / 2**0.5, "yes": -0.4 / 2**0.5, "missing": 0.25})
    assert found["gland"] == {"minor": 1.1, "parotid or sublingual": 0.0, "missing": -0.3}
    assert found["signs: halo"] == {"no": 0.0, "yes": 0.6}


def test_only_the_indicator_has_a_say(encoder):
    (axis,) = clinical_axes(encoder.columns, {"pain=missing": 0.5}, ranges={}, units={}, clip=5.0)
    assert axis == Axis("pain", (("known", 0.0), ("missing", 0.5)))


def test_many_levels_without_effect_share_a_tick():
    column = ClinicalColumn(name="gland", kind="category")
    cases = [row(number, {"gland": level}) for number, level in enumerate("abcd")]
    encoder = ClinicalEncoder.fit([column], cases, clip=5.0)
    (axis,) = clinical_axes(encoder.columns, {"gland=b": 1.0}, ranges={}, units={}, clip=5.0)
    assert axis.ticks == (("b", 1.0), ("any other", 0.0))


def test_a_number_is_clipped_where_the_encoder_clips_it():
    axis = number_axis("size", coefficient=2.0, center=10, scale=1, clip=3, training_range=(8, 99), unit="mm")
    # The limit is 13, and no tick lies more than a step beyond it.
    assert axis.variable == "size (mm)"
    assert axis.ticks == (("8", -4.0), ("9", -2.0), ("10", 0.0), ("11", 2.0), ("12", 4.0), ("13", 6.0))
    score = number_axis("s", coefficient=1, center=0, scale=1, clip=math.inf, training_range=(-1.2, 0.4), unit=None)
    assert (score.ticks[0], score.ticks[-1]) == (("-1.2", -1.2), ("0.4", 0.4))


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (18, 89, [10, 20, 30, 40, 50, 60, 70, 80, 90]),
        (1, 3, [1, 2, 3]),  # never 1.5 lesions
        (0.92, 1.3, [0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3]),
        (-2.5e-7, 1.1e-6, [-4e-7, -2e-7, 0, 2e-7, 4e-7, 6e-7, 8e-7, 1e-6, 1.2e-6]),
        (4.2, 4.2, [4.2]),
    ],
)
def test_round_values_cover_the_range(low, high, values):
    assert round_values(float(low), float(high)) == values


def test_probabilities_are_met_and_those_out_of_reach_are_left_out():
    ticks = probability_ticks(lambda logit: sigmoid(0.5 * logit + 1), low=-4, high=3)
    # By hand: (log(p / (1 - p)) - 1) / 0.5; at -4 the probability is 0.269, at 3 0.924.
    assert [label for label, _ in ticks] == ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]
    for label, logit in ticks:
        p = float(label)
        assert logit == pytest.approx((math.log(p / (1 - p)) - 1) / 0.5, abs=1e-8)


def test_what_lies_within_a_step_is_left_out():
    steps = probability_ticks(lambda logit: 0.05 if logit < 0 else 0.62, low=-4, high=3)
    assert [label for label, _ in steps] == ["0.05"]


def test_rows_are_ticks_probabilities_and_the_intercept():
    axes = [Axis("a", (("no", 0.0), ("yes", 2.0))), Axis("b", (("0", -1.0), ("1", 1.0)))]
    rows = nomogram_rows(axes, intercept=-0.5, to_probability=sigmoid)
    assert rows[:4] == [("a", "no", 0.0), ("a", "yes", 2.0), ("b", "0", -1.0), ("b", "1", 1.0)]
    assert rows[-1] == ("(intercept)", "", -0.5)
    # From -1.5 to 2.5, that is 0.18 to 0.92.
    assert [label for variable, label, _ in rows if variable == "(probability)"] == [
        "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"
    ]  # fmt: skip


def test_no_variable_leaves_the_intercept():
    assert nomogram_rows([], intercept=0.3, to_probability=sigmoid) == [("(intercept)", "", 0.3)]
