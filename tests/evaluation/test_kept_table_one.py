from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fusion.evaluation import kept_table_one as module
from fusion.evaluation.kept_table_one import kept_table_one
from fusion.evaluation.table_one import table_one
from fusion.records import Case, ClinicalColumn, Cohort, Fold

COLUMNS = (
    ClinicalColumn(name="age", kind="number", unit="years"),
    ClinicalColumn(name="signs", kind="set"),
)
COHORT = Cohort(
    name="x",
    cases=tuple(
        Case(
            case_id=f"case {i}",
            patient_id=f"patient {i}",
            center="AB"[i % 2],
            image=None,
            mask=None,
            label=("benign", "malignant")[i // 2 % 2],
            clinical={"age": 40.0 + i, "signs": frozenset({"halo", "edge"} if i % 3 else {"halo"})},
            reader_score="34"[i % 2],
        )
        for i in range(16)
    ),
    label_names=("benign", "malignant"),
    clinical_columns=COLUMNS,
    reader_column="BI-RADS",
    reader_levels=("3", "4"),
)
NAMES = [f"patient {i}" for i in range(16)]
FOLD = Fold(
    number=0,
    seed=0,
    train=frozenset(NAMES[:8]),
    validation=frozenset(NAMES[8:12]),
    test=frozenset(NAMES[12:]),
)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """An entry for each time that the table is computed."""
    times: list[None] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        times.append(None)
        return table_one(*arguments, **options)

    monkeypatch.setattr(module, "table_one", counted)
    return times


def first_case(**changes: Any) -> Cohort:
    return replace(COHORT, cases=(replace(COHORT.cases[0], **changes), *COHORT.cases[1:]))


def test_it_is_computed_once_and_stays_what_it_is(tmp_path: Path, computed: list[None]) -> None:
    expected = table_one(COHORT, [FOLD], seed=0)
    for _ in range(3):
        assert kept_table_one(COHORT, [FOLD], seed=0, cache_dir=tmp_path) == expected
    assert len(computed) == 1


def test_whatever_it_depends_on_gives_another_one(tmp_path: Path, computed: list[None]) -> None:
    swapped = replace(FOLD, train=FOLD.test, test=FOLD.train)
    others: list[tuple[Cohort, list[Fold], int]] = [
        (COHORT, [FOLD], 0),
        (COHORT, [FOLD], 1),
        (COHORT, [swapped], 0),
        (COHORT, [FOLD, swapped], 0),
        (first_case(label="malignant"), [FOLD], 0),
        (first_case(center="B"), [FOLD], 0),
        (first_case(reader_score="4"), [FOLD], 0),
        (first_case(clinical={"age": 1.0, "signs": frozenset()}), [FOLD], 0),
        (replace(COHORT, clinical_columns=COLUMNS[:1]), [FOLD], 0),
        (replace(COHORT, reader_levels=("4", "3")), [FOLD], 0),
    ]
    for number, (cohort, folds, seed) in enumerate(others, start=1):
        found = kept_table_one(cohort, folds, seed=seed, cache_dir=tmp_path)
        assert found == table_one(cohort, folds, seed=seed)
        assert len(computed) == number
