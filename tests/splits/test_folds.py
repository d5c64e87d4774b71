import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from fusion.cohorts.load import load_cohort
from fusion.errors import FusionError, InputError
from fusion.records import Cohort, Fold
from fusion.splits.folds import count_labels, every_fold, make_folds, make_inner_folds, shrink_fold

REPOSITORY = Path(__file__).parents[2]
BUSBRA = REPOSITORY / "../shared/data/busbra"
STRATA = {
    ("benign", "A"): 31,
    ("benign", "B"): 17,
    ("benign", "C"): 9,
    ("malignant", "A"): 11,
    ("malignant", "B"): 13,
    ("malignant", "C"): 6,
}
HOLDOUT = {"name": "holdout", "test_fraction": 0.3, "n_divisions": 1, "validation_fraction": 0.2}
KFOLD = {"name": "kfold", "n_folds": 5, "validation_fraction": 0.2}
CENTER = {"name": "center", "train": ["A", "B"], "test": ["C"], "validation_fraction": 0.2}
COLUMN = {"name": "column", "validation_fraction": 0.2}
REPEATED = {"name": "repeated_kfold", "n_repeats": 3, "n_folds": 4, "validation_fraction": 0.2}
NESTED = {"name": "nested", "n_folds": 3, "validation_fraction": 0.2}
LEAVE_OUT = {"name": "leave_one_center_out", "validation_fraction": 0.2}
Make = Callable[..., Cohort]


def composed(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(version_base="1.3", config_dir=str(REPOSITORY / "conf")):
        config = compose(config_name="train", overrides=list(overrides))
        return {name: OmegaConf.to_container(config[name], resolve=True) for name in ("cohort", "split")}


def in_turn(cohort: Cohort, *names: str) -> dict[str, str]:
    return {patient: names[i % len(names)] for i, patient in enumerate(cohort.patients)}


def everyone(fold: Fold) -> frozenset[str]:
    return fold.train | fold.validation | fold.test


def positives(cohort: Cohort, patients: frozenset[str]) -> int:
    return sum(cohort.patients[patient][0].label == "malignant" for patient in patients)


@pytest.mark.parametrize("split", [HOLDOUT, KFOLD, REPEATED, NESTED, LEAVE_OUT])
def test_every_patient_is_in_one_part_of_every_fold(cohort_of: Make, split: dict[str, Any]) -> None:
    cohort = cohort_of(STRATA)
    assert len(cohort.cases) > len(cohort.patients) == 87
    for number, fold in enumerate(make_folds(cohort, split=split, seed=3)):
        assert everyone(fold) == frozenset(cohort.patients)
        assert len(fold.train) + len(fold.validation) + len(fold.test) == 87
        assert (fold.number, fold.seed) == (number, 3)


@pytest.mark.parametrize("split", [HOLDOUT, KFOLD, CENTER, REPEATED, NESTED, LEAVE_OUT])
def test_folds_depend_on_the_seed_and_not_on_the_order_of_the_table(cohort_of: Make, split: dict[str, Any]) -> None:
    cohort = cohort_of(STRATA)
    folds = make_folds(cohort, split=split, seed=11)
    assert folds == make_folds(cohort, split=split, seed=11)
    assert folds == make_folds(cohort_of(STRATA, backwards=True), split=split, seed=11)
    others = make_folds(cohort, split=split, seed=12)
    assert [fold.validation for fold in folds] != [fold.validation for fold in others]


def test_holdout_has_the_asked_fractions(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA)
    (fold,) = make_folds(cohort, split=HOLDOUT, seed=0)
    assert abs(len(fold.test) - 0.3 * 87) < 1
    assert abs(len(fold.validation) - 0.2 * (87 - len(fold.test))) < 1
    assert abs(positives(cohort, fold.test) - 0.3 * 30) <= 1


def test_a_holdout_may_be_drawn_several_times(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA)
    (alone,) = make_folds(cohort, split=HOLDOUT, seed=0)
    folds = make_folds(cohort, split=HOLDOUT | {"n_divisions": 3}, seed=0)
    assert [fold.number for fold in folds] == [0, 1, 2]
    assert folds[0].test == alone.test
    assert len({fold.test for fold in folds}) == 3
    for fold in folds:
        assert abs(len(fold.test) - 0.3 * 87) < 1
        assert abs(positives(cohort, fold.test) - 0.3 * 30) <= 1


def test_a_holdout_of_before_there_were_several_says_what_to_add(cohort_of: Make) -> None:
    older = {key: value for key, value in HOLDOUT.items() if key != "n_divisions"}
    with pytest.raises(FusionError, match=r"split\.n_divisions: required .* came none; add `n_divisions: 1`"):
        make_folds(cohort_of(STRATA), split=older, seed=0)


def test_kfold_scores_every_patient_once(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA)
    folds = make_folds(cohort, split=KFOLD, seed=0)
    assert len(folds) == 5
    assert sorted(patient for fold in folds for patient in fold.test) == sorted(cohort.patients)
    assert {len(fold.test) for fold in folds} == {17, 18}
    assert {positives(cohort, fold.test) for fold in folds} == {6}


@pytest.mark.parametrize("split", [HOLDOUT, KFOLD, CENTER])
def test_validation_is_a_stratified_part_of_training(cohort_of: Make, split: dict[str, Any]) -> None:
    cohort = cohort_of(STRATA)
    for fold in make_folds(cohort, split=split, seed=5):
        outer = fold.train | fold.validation
        assert abs(len(fold.validation) - 0.2 * len(outer)) < 1
        assert abs(positives(cohort, fold.validation) - 0.2 * positives(cohort, outer)) < 1
        for center in "AB":
            inner, whole = (sum(patient.startswith(center) for patient in part) for part in (fold.validation, outer))
            assert abs(inner - 0.2 * whole) < 2


def test_validation_differs_from_fold_to_fold(cohort_of: Make) -> None:
    folds = make_folds(cohort_of(STRATA), split=KFOLD, seed=0)
    assert len({fold.validation for fold in folds}) == 5


def test_repeated_kfold_scores_every_patient_once_a_repeat_in_other_folds(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA)
    folds = make_folds(cohort, split=REPEATED, seed=0)
    assert [fold.number for fold in folds] == list(range(12))
    repeats = [folds[start : start + 4] for start in (0, 4, 8)]
    for repeat in repeats:
        assert sorted(patient for fold in repeat for patient in fold.test) == sorted(cohort.patients)
    assert len({frozenset(fold.test for fold in repeat) for repeat in repeats}) == 3


def test_leave_one_center_out_tests_each_center_by_all_others(cohort_of: Make) -> None:
    # Center D has one label only: it is scored all the same.
    cohort = cohort_of(STRATA | {("benign", "D"): 5})
    folds = make_folds(cohort, split=LEAVE_OUT, seed=0)
    assert [{patient[0] for patient in fold.test} for fold in folds] == [{"A"}, {"B"}, {"C"}, {"D"}]
    for fold in folds:
        assert not {patient[0] for patient in fold.test} & {patient[0] for patient in fold.train | fold.validation}
        assert everyone(fold) == frozenset(cohort.patients)


def test_leave_one_center_out_needs_centers(cohort_of: Make) -> None:
    with pytest.raises(FusionError, match=r"required two or more centers in cohort 'small', came \['A'\]"):
        make_folds(cohort_of({("benign", "A"): 20, ("malignant", "A"): 20}), split=LEAVE_OUT, seed=0)


@pytest.mark.parametrize("n_inner", [2, 3])
def test_inner_folds_score_each_training_patient_once_and_know_no_test_patient(cohort_of: Make, n_inner: int) -> None:
    cohort = cohort_of(STRATA)
    for fold in make_folds(cohort, split=KFOLD, seed=1):
        inner = make_inner_folds(cohort, fold, split=KFOLD | {"n_inner_folds": n_inner})
        outer = fold.train | fold.validation
        assert [each.number for each in inner] == list(range(n_inner))
        assert sorted(patient for each in inner for patient in each.test) == sorted(outer)
        assert all(everyone(each) == outer and each.validation for each in inner)
        assert inner == make_inner_folds(cohort, fold, split=KFOLD | {"n_inner_folds": n_inner})


def test_an_inner_part_without_a_label_is_refused(cohort_of: Make) -> None:
    fold, *_ = make_folds(cohort_of({("benign", "A"): 40, ("malignant", "A"): 15}), split=KFOLD, seed=0)
    message = r"inner fold \d of fold 0: required every label in every part, came no \['malignant'\]"
    with pytest.raises(FusionError, match=message):
        make_inner_folds(
            cohort_of({("benign", "A"): 40, ("malignant", "A"): 15}), fold, split=KFOLD | {"n_inner_folds": 13}
        )


def test_a_smaller_fold_keeps_its_parts_and_its_balance(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA)
    (fold,) = make_folds(cohort, split=HOLDOUT, seed=0)
    small = shrink_fold(cohort, fold, 0.5)
    assert (small.test, small.number, small.seed) == (fold.test, fold.number, fold.seed)
    for part in ("train", "validation"):
        kept, whole = getattr(small, part), getattr(fold, part)
        assert kept < whole
        assert abs(len(kept) - 0.5 * len(whole)) <= 1
        assert abs(positives(cohort, kept) - 0.5 * positives(cohort, whole)) <= 1
    with pytest.raises(FusionError, match="2% of the training patients of fold 0: required every label"):
        shrink_fold(cohort, fold, 0.02)


def test_every_fold_that_a_run_fits_is_known_before(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA)
    folds = make_folds(cohort, split=KFOLD, seed=0)
    assert every_fold(cohort, folds, split=KFOLD | {"n_inner_folds": 1}, shares=[]) == folds
    every = every_fold(cohort, folds, split=KFOLD | {"n_inner_folds": 3}, shares=[0.5])
    assert len(every) == 5 + 5 + 5 * 3
    assert every[:5] == folds
    with pytest.raises(FusionError, match="1% of the training patients of fold 0: required every label"):
        every_fold(cohort, folds, split=KFOLD | {"n_inner_folds": 1}, shares=[0.01])


def test_labels_are_counted_in_the_smallest_training_part(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA)
    folds = make_folds(cohort, split=LEAVE_OUT, seed=0)
    # Without center A, the largest.
    assert count_labels(cohort, folds) == {"benign": 17 + 9, "malignant": 13 + 6}


def test_center_trains_on_some_and_tests_on_others(cohort_of: Make) -> None:
    cohort = cohort_of(STRATA | {("benign", "D"): 5})
    (fold,) = make_folds(cohort, split=CENTER, seed=0)
    assert {patient[0] for patient in fold.train} == {patient[0] for patient in fold.validation} == {"A", "B"}
    assert fold.test == frozenset(patient for patient in cohort.patients if patient.startswith("C"))
    assert len(fold.train | fold.validation) == 31 + 17 + 11 + 13


def test_center_takes_numbers_for_centers(cohort_of: Make) -> None:
    strata = {("benign", "1"): 9, ("malignant", "1"): 9, ("benign", "2"): 4, ("malignant", "2"): 4}
    (fold,) = make_folds(cohort_of(strata), split=CENTER | {"train": [1], "test": [2]}, seed=0)
    assert {patient[0] for patient in fold.test} == {"2"}


@pytest.mark.parametrize(
    ("train", "test"), [(["A", "X"], ["C"]), (["A"], ["c"]), (["A", "B"], ["B", "C"]), (["A", "A"], ["C"])]
)
def test_center_refuses_unknown_and_shared_centers(cohort_of: Make, train: list[str], test: list[str]) -> None:
    with pytest.raises(FusionError) as raised:
        make_folds(cohort_of(STRATA), split=CENTER | {"train": train, "test": test}, seed=0)
    assert f"came train={train} test={test}; the cohort has ['A', 'B', 'C']" in str(raised.value)


def test_column_makes_a_fold_of_each_value_in_numeric_order(cohort_of: Make) -> None:
    names = [str(number) for number in range(1, 11)]
    given = in_turn(cohort_of(STRATA), *names)
    cohort = cohort_of(STRATA, folds=given, backwards=True)
    folds = make_folds(cohort, split=COLUMN, seed=0)
    assert [{given[patient] for patient in fold.test} for fold in folds] == [{name} for name in names]
    for fold in folds:
        assert everyone(fold) == frozenset(cohort.patients)
        assert fold.test == frozenset(patient for patient, name in given.items() if name == str(fold.number + 1))


def test_column_orders_numbers_within_words(cohort_of: Make) -> None:
    given = in_turn(cohort_of(STRATA), "fold10", "fold9", "a", "fold1")
    folds = make_folds(cohort_of(STRATA, folds=given), split=COLUMN, seed=0)
    assert [given[min(fold.test)] for fold in folds] == ["a", "fold1", "fold9", "fold10"]


@pytest.mark.parametrize("words", [("train", "test", "validation"), ("Train", "TEST", "Validation")])
def test_column_of_words_gives_the_parts(cohort_of: Make, words: tuple[str, str, str]) -> None:
    given = in_turn(cohort_of(STRATA), *words)
    (fold,) = make_folds(cohort_of(STRATA, folds=given), split=COLUMN, seed=0)
    for part, word in zip((fold.train, fold.test, fold.validation), words, strict=True):
        assert part == frozenset(patient for patient, name in given.items() if name == word)


def test_column_without_validation_draws_it_from_training(cohort_of: Make) -> None:
    given = in_turn(cohort_of(STRATA), "train", "train", "test")
    (fold,) = make_folds(cohort_of(STRATA, folds=given), split=COLUMN, seed=0)
    assert fold.test == frozenset(patient for patient, name in given.items() if name == "test")
    assert abs(len(fold.validation) - 0.2 * 58) < 1


@pytest.mark.parametrize("other", ["val", "1", "holdout"])
def test_column_does_not_cross_validate_over_parts(cohort_of: Make, other: str) -> None:
    given = in_turn(cohort_of(STRATA), "train", "test", other)
    with pytest.raises(FusionError, match=f"the words train, validation, test and no others, came .*{other}"):
        make_folds(cohort_of(STRATA, folds=given), split=COLUMN, seed=0)


def test_column_needs_a_fold_for_every_patient(cohort_of: Make) -> None:
    given: dict[str, str | None] = {**in_turn(cohort_of(STRATA), "1", "2"), "Ab0": None, "Bm2": None}
    with pytest.raises(FusionError, match=r"came none for 2 of 87; name the table's column in cohort\.fold"):
        make_folds(cohort_of(STRATA, folds=given), split=COLUMN, seed=0)
    with pytest.raises(FusionError, match="came none for 87 of 87"):
        make_folds(cohort_of(STRATA), split=COLUMN, seed=0)


@pytest.mark.parametrize(
    ("strata", "split", "part"),
    [
        ({("benign", "A"): 40, ("malignant", "A"): 3}, KFOLD | {"validation_fraction": 0.5}, "test"),
        ({("benign", "A"): 40, ("malignant", "A"): 2}, KFOLD | {"n_folds": 2}, "validation"),
        ({("benign", "A"): 40, ("malignant", "A"): 9, ("benign", "C"): 5}, CENTER | {"train": ["A"]}, "test"),
        ({("benign", "A"): 40, ("malignant", "C"): 9, ("benign", "C"): 5}, CENTER | {"train": ["A"]}, "train"),
    ],
)
def test_a_part_without_a_label_is_refused(
    cohort_of: Make, strata: dict[tuple[str, str], int], split: dict[str, Any], part: str
) -> None:
    message = rf"fold \d: required every label in every part, came no \['malignant'\] among the \d+ patients of {part};"
    with pytest.raises(FusionError, match=message):
        make_folds(cohort_of(strata), split=split, seed=0)


@pytest.mark.parametrize(
    ("split", "key"),
    [
        (KFOLD | {"name": "leave_one_out"}, "split.name"),
        (HOLDOUT | {"test_fraction": 1.5}, "split.test_fraction"),
        (HOLDOUT | {"test_fraction": 30}, "split.test_fraction"),
        (HOLDOUT | {"n_divisions": 0}, "split.n_divisions"),
        (HOLDOUT | {"test_fraction": None}, "split.test_fraction"),
        (KFOLD | {"validation_fraction": 0.0}, "split.validation_fraction"),
        (KFOLD | {"n_folds": 0}, "split.n_folds"),
        (KFOLD | {"n_folds": 1}, "split.n_folds"),
        (KFOLD | {"n_folds": 2.5}, "split.n_folds"),
        (KFOLD | {"n_inner_folds": 0}, "split.n_inner_folds"),
        (REPEATED | {"n_repeats": 1}, "split.n_repeats"),
        (CENTER | {"train": "A"}, "split.train"),
        (CENTER | {"test": 3}, "split.test"),
        (CENTER | {"test": []}, "split.test"),
    ],
)
def test_a_setting_out_of_range_is_named(cohort_of: Make, split: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError) as raised:
        make_folds(cohort_of(STRATA), split=split, seed=0)
    (problem,) = raised.value.problems
    assert (problem.where, problem.came) == (key, repr(split[key.removeprefix("split.")]))


@pytest.mark.real_data
@pytest.mark.skipif(not BUSBRA.is_dir(), reason="the real cohort busbra is not beside the project")
def test_official_folds_of_busbra_split_no_patient(tmp_path: Path) -> None:
    config = composed("cohort=busbra", f"cohort.root={BUSBRA}", "split=column")
    cohort = load_cohort(config["cohort"], cache_dir=tmp_path, require_labels=True)
    folds = make_folds(cohort, split=config["split"], seed=0)
    with (BUSBRA / "folds.csv").open() as stream:
        official = {row["ID"]: row["kFold"] for row in csv.DictReader(stream)}
    assert len(folds) == 3
    assert sorted(patient for fold in folds for patient in fold.test) == sorted(cohort.patients)
    assert len(cohort.patients) == 638
    for fold in folds:
        assert len(fold.train) + len(fold.validation) + len(fold.test) == 638
        tested = {case.case_id for case in cohort.cases if case.patient_id in fold.test}
        assert tested == {image for image, name in official.items() if name == str(fold.number + 1)}
        assert abs(len(fold.validation) - 0.2 * (638 - len(fold.test))) < 1
