from dataclasses import replace

import numpy as np
import pytest

from fusion.errors import FusionError
from fusion.evaluation.discrimination import delong
from fusion.evaluation.subgroups import evaluate_subgroups, subgroup_levels
from fusion.records import Case, ClinicalColumn, Cohort, Predictions


def column_cohort(column, values):
    cases = tuple(
        Case(
            case_id=f"c{i}",
            patient_id=f"p{i}",
            center="A",
            image=None,
            mask=None,
            label="benign",
            clinical={column.name: value},
        )
        for i, value in enumerate(values)
    )
    return Cohort(name="x", cases=cases, label_names=("benign", "malignant"), clinical_columns=(column,))


def levels_of(column, values, *, bins=3, patients=None):
    cohort = column_cohort(column, values)
    return subgroup_levels(cohort, None, bins, patients=list(cohort.patients) if patients is None else patients)


def bands(values, *, bins=3, unit="years"):
    return levels_of(ClinicalColumn(name="age", kind="number", unit=unit), values, bins=bins)["age"]


def test_bands_hold_a_third_each_and_are_named_by_their_limits():
    ages = [float(age) for age in (80, 20, 30, 40, 47, 50, 60, 61, 70)]
    found = bands(ages)
    assert list(dict.fromkeys(found.values())) == ["< 47 years", "47 to < 61 years", ">= 61 years"]
    assert found["p4"] == "47 to < 61 years"
    assert [list(found.values()).count(level) for level in dict.fromkeys(found.values())] == [3, 3, 3]


def test_the_name_of_a_band_is_as_short_as_it_can_be_and_still_true():
    values = [2.0 + i / 7 for i in range(30)]
    found = bands(values, bins=2, unit=None)
    assert set(found.values()) == {"< 4.1", ">= 4.1"}
    assert all((value < 4.1) == (found[f"p{i}"] == "< 4.1") for i, value in enumerate(values))
    assert set(bands([2013.0, 2014, 2015, 2016, 2017, 2018], bins=2, unit=None).values()) == {"< 2016", ">= 2016"}
    assert set(bands([0.1, 0.1 + 2**-56, 0.3, 0.4], bins=2, unit=None).values()) == {"< 0.3", ">= 0.3"}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([0.0, 1.0, 1.0, 1.0], ["< 1", ">= 1"]),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0], ["< 7", ">= 7"]),
        ([-2.0, -1.0, 0.0], ["< -1", "-1 to < 0", ">= 0"]),
        ([5.0, 5.0], ["5"]),
        ([None, None], ["missing"]),
    ],
)
def test_few_distinct_values_make_fewer_bands(values, names):
    assert list(dict.fromkeys(bands(values, unit=None).values())) == names


def test_a_missing_value_is_a_level_of_its_own_and_comes_last():
    found = bands([None, 30.0, 70.0, 50.0], bins=2)
    assert list(dict.fromkeys(found.values())) == ["< 50 years", ">= 50 years", "missing"]
    assert found["p0"] == "missing"


def test_limits_come_from_the_evaluated_patients_only():
    found = levels_of(
        ClinicalColumn(name="age", kind="number"), [1.0, 2.0, 100.0, 200.0], bins=2, patients=["p2", "p3", "unknown"]
    )
    assert found == {"age": {"p2": "< 200", "p3": ">= 200"}}


def test_ordered_levels_keep_their_order():
    found = levels_of(
        ClinicalColumn(name="grade", kind="ordered", levels=("low", "mid", "high")), ["high", "low", None, "mid"]
    )
    assert list(found["grade"].values()) == ["low", "mid", "high", "missing"]


def test_categories_and_yes_no():
    assert levels_of(ClinicalColumn(name="sex", kind="category"), ["m", "f", "m"]) == {
        "sex": {"p1": "f", "p0": "m", "p2": "m"}
    }
    assert levels_of(ClinicalColumn(name="pain", kind="yes_no"), [1.0, 0.0, None]) == {
        "pain": {"p1": "no", "p0": "yes", "p2": "missing"}
    }


def test_every_element_of_a_set_is_a_column():
    found = levels_of(
        ClinicalColumn(name="signs", kind="set"), [frozenset({"halo"}), frozenset({"halo", "edema"}), frozenset(), None]
    )
    assert found["signs=edema"] == {"p0": "no", "p2": "no", "p1": "yes", "p3": "missing"}
    assert found["signs=halo"] == {"p2": "no", "p0": "yes", "p1": "yes", "p3": "missing"}


def test_a_patient_with_several_cases_has_the_first_known_value():
    column = ClinicalColumn(name="sex", kind="category")
    cohort = column_cohort(column, [None, "f", "m"])
    cohort = replace(cohort, cases=tuple(replace(case, patient_id="p") for case in cohort.cases))
    assert subgroup_levels(cohort, ["sex"], 3, patients=["p"]) == {"sex": {"p": "f"}}


def test_an_unknown_column_is_refused_with_what_there_is():
    cohort = column_cohort(ClinicalColumn(name="sex", kind="category"), ["f"])
    with pytest.raises(FusionError, match="clinical columns of the cohort \\(sex\\), came gender"):
        subgroup_levels(cohort, ["gender"], 3, patients=["p0"])


def auc(rows):
    labels = np.array([label == "malignant" for label in rows.labels], dtype=np.int64)
    return {"auc": delong(labels, rows.probabilities[:, 1], level=0.95, patients=rows.patient_ids)}


def rows_of(labels, scores, *, repeats=1):
    n = len(labels)
    return Predictions(
        model="m",
        label_names=("benign", "malignant"),
        patient_ids=tuple(f"p{i}" for i in range(n)) * repeats,
        centers=("A",) * n * repeats,
        parts=("test",) * n * repeats,
        folds=tuple(fold for fold in range(repeats) for _ in range(n)),
        labels=tuple(labels) * repeats,
        probabilities=np.tile(np.stack([1 - np.array(scores), scores], axis=1), (repeats, 1)),
    )


LABELS = ["benign", "malignant"] * 4 + ["benign"] * 4
SCORES = [0.1, 0.9, 0.4, 0.3, 0.2, 0.8, 0.5, 0.6, 0.1, 0.2, 0.3, 0.4]
SEX = {"sex": {f"p{i}": "f" if i < 8 else "m" for i in range(12)}}


def test_figures_of_a_level_are_those_of_its_rows():
    test = rows_of(LABELS, SCORES)
    female, male = evaluate_subgroups(test, SEX, figures=auc, min_patients=5, min_per_label=2)["sex"]
    own = delong(np.array([0, 1] * 4), np.array(SCORES[:8]), level=0.95)
    assert female == {"level": "f", "n": 8, "n_positive": 4, "figures": {"auc": own.as_json()}, "note": None}
    assert male == {
        "level": "m",
        "n": 4,
        "n_positive": 0,
        "figures": None,
        "note": "too few: 4 patients, 0 malignant (required 5 and 2 of each label)",
    }


@pytest.mark.parametrize(("min_patients", "min_per_label", "enough"), [(8, 4, True), (9, 4, False), (8, 5, False)])
def test_both_minima_count_and_are_inclusive(min_patients, min_per_label, enough):
    test = rows_of(LABELS, SCORES)
    result = evaluate_subgroups(test, SEX, figures=auc, min_patients=min_patients, min_per_label=min_per_label)
    assert (result["sex"][0]["figures"] is not None) == enough


def test_patients_are_counted_not_rows():
    result = evaluate_subgroups(rows_of(LABELS, SCORES, repeats=5), SEX, figures=auc, min_patients=9, min_per_label=1)
    assert result["sex"][0]["note"].startswith("too few: 8 patients, 4 malignant")


def test_a_patient_without_a_label_does_not_count():
    test = rows_of(["", *LABELS[1:]], SCORES)
    assert evaluate_subgroups(test, SEX, figures=auc, min_patients=1, min_per_label=1)["sex"][0]["n"] == 7


def test_several_labels_are_all_counted():
    names = ("benign", "malignant", "normal")
    test = replace(rows_of(LABELS, SCORES), label_names=names, probabilities=np.full((12, 3), 1 / 3))
    note = evaluate_subgroups(test, SEX, figures=auc, min_patients=1, min_per_label=1)["sex"][0]["note"]
    assert note == "too few: 8 patients, 4 benign, 4 malignant, 0 normal (required 1 and 1 of each label)"


def test_a_patient_without_a_level_is_a_mistake():
    with pytest.raises(ValueError, match="required a level of every patient"):
        evaluate_subgroups(rows_of(LABELS, SCORES), {"sex": {"p0": "f"}}, figures=auc, min_patients=1, min_per_label=1)
