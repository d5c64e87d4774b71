"""Tests against R 4.2.2 (wilcox.test, kruskal.test, chisq.test, fisher.test); differences by their formulas in R."""

import json

import numpy as np
import pytest

from fusion.evaluation.table_one import (
    compare_counts,
    compare_numbers,
    standardized_difference_of_numbers,
    standardized_difference_of_shares,
    table_one,
)
from fusion.records import Case, ClinicalColumn, Cohort, Fold

FIRST = np.array([34, 45, 51, 38, 62, 29, 47, 55, 40, 58.0])
SECOND = np.array([48, 66, 71, 59, 50, 63, 77.0])
TIED_FIRST, TIED_SECOND = np.append(FIRST, [45, 51.0]), np.append(SECOND, [48, 45, 51.0])
THIRD = np.array([30, 36, 44, 52, 61.0])


@pytest.mark.parametrize(
    ("groups", "name", "p"),
    [
        ([FIRST, SECOND], "mann_whitney", 0.009666804),
        ([TIED_FIRST, TIED_SECOND], "mann_whitney", 0.03167782001),
        ([TIED_FIRST, TIED_SECOND, THIRD], "kruskal_wallis", 0.05991214541),
        ([FIRST, np.array([])], "mann_whitney", None),
        ([np.ones(4), np.ones(3)], "mann_whitney", None),
    ],
)
def test_numbers_are_compared_by_rank(groups, name, p):
    found = compare_numbers(groups)
    assert found == (name, None if p is None else pytest.approx(p, abs=1e-9))


@pytest.mark.parametrize(
    ("columns", "name", "p", "error"),
    [
        ([[30, 20], [15, 35]], "chi_squared", 0.004891311452, 1e-9),
        ([[30, 20, 15], [35, 12, 18]], "chi_squared", 0.2648288982, 1e-9),
        ([[30, 20, 0, 15], [35, 12, 0, 18]], "chi_squared", 0.2648288982, 1e-9),
        ([[8, 2], [1, 5]], "fisher", 0.03496503497, 1e-9),
        # R computes these two exactly; here tables are drawn.
        ([[8, 2, 4], [1, 5, 3]], "fisher_drawn", 0.05650460725, 0.004),
        ([[3, 0, 2], [1, 6, 1], [4, 4, 2]], "fisher_drawn", 0.1027841699, 0.004),
        ([[8, 0], [6, 0]], "chi_squared", None, 0),
        ([[8, 3], [0, 0]], "chi_squared", None, 0),
    ],
)
def test_counts_are_compared_by_the_test_that_their_size_allows(columns, name, p, error):
    found = compare_counts(np.array(columns).T, seed=0)
    assert found == (name, None if p is None else pytest.approx(p, abs=error))


def test_drawn_tables_are_the_same_for_the_same_seed():
    table = np.array([[8, 2, 4], [1, 5, 3]]).T
    assert compare_counts(table, seed=3) == compare_counts(table, seed=3)


def test_standardized_differences():
    # (46 - 62) / sqrt((var + var) / 2), with R's var
    assert standardized_difference_of_numbers(FIRST, SECOND) == pytest.approx(1.509043459, abs=1e-9)
    assert standardized_difference_of_numbers(FIRST, FIRST) == 0
    # 0.3 / sqrt((0.24 + 0.21) / 2)
    binary = standardized_difference_of_shares(np.array([12, 8]), np.array([30, 70]))
    assert binary == pytest.approx(0.632455532, abs=1e-9)
    # Yang & Dalton's formula in R, with MASS::ginv
    several = np.array([30, 20, 15]), np.array([35, 12, 18])
    assert standardized_difference_of_shares(*several) == pytest.approx(0.2889128252, abs=1e-9)
    assert standardized_difference_of_shares(*(np.insert(of, 1, 0) for of in several)) == pytest.approx(0.2889128252)
    reordered = standardized_difference_of_shares(*(of[[2, 0, 1]] for of in several))
    assert reordered == pytest.approx(0.2889128252, abs=1e-9)


def test_a_difference_without_a_spread_is_not_defined():
    assert standardized_difference_of_numbers(np.ones(3), np.full(3, 2.0)) is None
    assert standardized_difference_of_numbers(np.ones(3), np.ones(4)) == 0
    assert standardized_difference_of_numbers(np.ones(1), np.ones(4)) is None
    assert standardized_difference_of_shares(np.array([5, 0]), np.array([0, 5])) is None
    assert standardized_difference_of_shares(np.array([5, 0]), np.array([3, 0])) == 0
    assert standardized_difference_of_shares(np.array([4, 0, 4]), np.array([0, 5, 0])) is None
    assert standardized_difference_of_shares(np.array([0, 0]), np.array([3, 2])) is None


COLUMNS = (
    ClinicalColumn(name="age", kind="number", unit="years"),
    ClinicalColumn(name="sex", kind="category"),
    ClinicalColumn(name="edge", kind="ordered", levels=("clear", "blurred", "spiculated")),
    ClinicalColumn(name="signs", kind="set"),
    ClinicalColumn(name="pain", kind="yes_no"),
)


def case(number, view=0, **clinical):
    return Case(
        case_id=f"secret-{number}-{view}",
        patient_id=f"secret-{number}",
        center=("East", "West")[number % 2],
        image=None,
        mask=None,
        label=("benign", "malignant")[number % 3 == 0],
        clinical=clinical,
        reader_score=("2", "3", "4")[number % 3],
    )


@pytest.fixture(scope="module")
def cohort():
    cases = []
    for number in range(20):
        values = {
            "age": 40.0 + number,
            "sex": "f" if number % 4 else "m",
            "edge": ("clear", "blurred")[number % 2],
            "signs": frozenset({"halo"} if number % 5 else {"halo", "skin"}),
            "pain": float(number % 2),
        }
        if number == 7:
            # The first image has no age; that of the second counts.
            cases.append(case(number, 0, **(values | {"age": None})))
            cases.append(case(number, 1, **values))
        else:
            cases.append(case(number, **(values | ({"age": None, "signs": None} if number == 3 else {}))))
    return Cohort(
        name="x",
        cases=tuple(cases),
        label_names=("benign", "malignant"),
        clinical_columns=COLUMNS,
        reader_column="score",
        reader_levels=("2", "3", "4"),
    )


def ids(*numbers):
    return frozenset(f"secret-{number}" for number in numbers)


def fold(number=0, test=range(15, 19), validation=range(12, 15), train=range(12)):
    return Fold(number=number, seed=0, train=ids(*train), validation=ids(*validation), test=ids(*test))


def rows(comparison):
    return {variable["name"]: variable for variable in comparison["variables"]}


def test_training_stands_against_test_and_nobody_else_is_counted(cohort):
    table = table_one(cohort, [fold()], seed=0)
    assert table["patients"] == 19  # the last one is in no part
    assert table["part"]["groups"] == {"training": 15, "test": 4}
    found = rows(table["part"])
    ages = [40 + k for k in range(15) if k != 3]
    summary = found["age"]["groups"]["training"]
    assert (summary["n"], summary["missing"]) == (14, 1)
    assert summary["mean"] == pytest.approx(np.mean(ages))
    assert summary["sd"] == pytest.approx(np.std(ages, ddof=1))
    assert (summary["q1"], summary["median"], summary["q3"]) == tuple(np.quantile(ages, (0.25, 0.5, 0.75)))
    assert found["age"]["groups"]["test"]["mean"] == 56.5
    assert found["age"]["test"] == "mann_whitney"
    assert found["age"]["p"] == compare_numbers([np.array(ages, float), np.arange(55, 59.0)])[1]
    assert found["label"]["all"]["counts"] == {"benign": 12, "malignant": 7}
    assert found["center"]["groups"]["test"]["counts"] == {"East": 2, "West": 2}


def test_by_label_the_label_is_no_row(cohort):
    table = table_one(cohort, [fold()], seed=0)
    assert table["label"]["groups"] == {"benign": 12, "malignant": 7}
    found = rows(table["label"])
    assert list(found) == ["center", "age", "sex", "edge", "signs=halo", "signs=skin", "pain", "score"]
    assert found["signs=skin"]["all"] == {"n": 18, "missing": 1, "counts": {"no": 14, "yes": 4}}
    assert found["signs=halo"]["p"] is None  # everybody has it
    assert found["pain"]["all"]["counts"] == {"no": 10, "yes": 9}
    assert found["edge"]["test"] == "mann_whitney"
    assert found["edge"]["all"]["counts"] == {"clear": 10, "blurred": 9, "spiculated": 0}


def test_an_order_is_used(cohort):
    table = table_one(cohort, [fold()], seed=0)
    ranks = [[(k % 2) for k in range(19) if (k % 3 == 0) == malignant] for malignant in (False, True)]
    assert rows(table["label"])["edge"]["p"] == pytest.approx(compare_numbers([np.array(of, float) for of in ranks])[1])


def test_under_cross_validation_there_are_no_parts_to_compare(cohort):
    folds = [fold(k, test=range(5 * k, 5 * k + 5), validation=range(15, 18), train=range(18, 20)) for k in range(2)]
    table = table_one(cohort, folds, seed=0)
    assert table["part"] is None
    assert table["n_folds"] == 2
    assert table["label"]["groups"] == {"benign": 9, "malignant": 6}


def test_of_three_groups_the_largest_difference_is_given(cohort):
    label_names = ("a", "b", "c")
    values = {"a": (1.0, 2.0, 3.0), "b": (2.0, 3.0, 4.0), "c": (5.0, 6.0, 7.0)}
    cases = [
        Case(case_id=f"{name}{k}", patient_id=f"{name}{k}", center="x", image=None, mask=None, label=name,
             clinical={"age": age})
        for name in label_names for k, age in enumerate(values[name])
    ]  # fmt: skip
    three = Cohort(name="x", cases=tuple(cases), label_names=label_names, clinical_columns=COLUMNS[:1])
    parts = {"train": frozenset({"a0", "b0", "c0"}), "validation": frozenset({"a1", "b1", "c1"})}
    table = table_one(three, [Fold(number=0, seed=0, test=frozenset({"a2", "b2", "c2"}), **parts)], seed=0)
    (age,) = table["label"]["variables"]
    assert age["test"] == "kruskal_wallis"
    assert age["smd"] == pytest.approx(4.0)


def test_no_patient_is_in_it_and_it_is_json(cohort):
    text = json.dumps(table_one(cohort, [fold()], seed=0), allow_nan=False)
    assert "secret" not in text
