import math
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from fusion.records import Cohort
from fusion.splits.draw import deal, draw_fraction, spread_order

STRATA = {
    ("benign", "A"): 31,
    ("benign", "B"): 17,
    ("benign", "C"): 2,
    ("malignant", "A"): 8,
    ("malignant", "B"): 13,
    ("malignant", "C"): 1,
}
Make = Callable[..., Cohort]


def order(cohort: Cohort, seed: int) -> list[str]:
    return spread_order(cohort, sorted(cohort.patients), np.random.default_rng(seed))


def assert_in_proportion(cohort: Cohort, drawn: Iterable[str], fraction: float) -> None:
    """To within one patient: in all, of each label, of each center within a label."""
    drawn = frozenset(drawn)
    for key in (
        lambda case: "all",
        lambda case: case.label,
        lambda case: (case.label, case.center),
    ):
        there = Counter(key(cases[0]) for cases in cohort.patients.values())
        taken = Counter(key(cohort.patients[patient][0]) for patient in drawn)
        for stratum, count in there.items():
            wanted = round(count * fraction, 9)
            assert math.floor(wanted) <= taken[stratum] <= math.ceil(wanted), (stratum, taken[stratum], wanted)


def test_order_holds_each_stratum_together(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA)
    first = [cohort.patients[patient][0] for patient in order(cohort, 0)]
    assert [(case.label, case.center) for case in first] == [key for key, count in STRATA.items() for _ in range(count)]


def test_order_is_drawn_within_a_stratum(cohort_of: Make) -> None:
    cohort = cohort_of({("benign", "A"): 40})
    assert sorted(order(cohort, 0)) == sorted(order(cohort, 1)) == sorted(cohort.patients)
    assert len({tuple(order(cohort, seed)) for seed in range(5)}) == 5


def test_order_depends_on_the_seed_and_not_on_the_table(cohort_of: Make) -> None:
    cohort, backwards = cohort_of(STRATA), cohort_of(STRATA, backwards=True)
    ids = sorted(cohort.patients)
    first = spread_order(cohort, ids, np.random.default_rng(7))
    assert first == spread_order(backwards, ids[::-1], np.random.default_rng(7))


@pytest.mark.parametrize("fraction", [0.1, 0.2, 1 / 3, 0.5, 0.85])
@pytest.mark.parametrize("seed", range(8))
def test_a_fraction_is_in_proportion_to_within_one_patient(cohort_of: Make, fraction: float, seed: int) -> None:
    cohort = cohort_of(STRATA)
    assert_in_proportion(cohort, draw_fraction(order(cohort, seed), fraction, np.random.default_rng(seed)), fraction)


@pytest.mark.parametrize("n_folds", [2, 3, 5, 10])
@pytest.mark.parametrize("seed", range(4))
def test_hands_are_in_proportion_to_within_one_patient(cohort_of: Make, n_folds: int, seed: int) -> None:
    cohort = cohort_of(STRATA)
    hands = deal(order(cohort, seed), n_folds)
    assert len(hands) == n_folds
    for hand in hands:
        assert_in_proportion(cohort, hand, 1 / n_folds)


def test_hands_are_a_partition() -> None:
    hands = deal(list("abcdefg"), 3)
    assert hands == [frozenset("adg"), frozenset("be"), frozenset("cf")]


def test_every_patient_is_drawn_as_often_as_any_other() -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(patient for _ in range(4000) for patient in draw_fraction("abcdefg", 0.3, rng))
    # Binomial, standard deviation 0.007.
    assert all(abs(drawn[patient] / 4000 - 0.3) < 0.03 for patient in "abcdefg")


def test_no_fraction_draws_nobody() -> None:
    assert draw_fraction("abcdefg", 0.0, np.random.default_rng(0)) == frozenset()
    assert draw_fraction("", 0.5, np.random.default_rng(0)) == frozenset()
