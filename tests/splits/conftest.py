from collections.abc import Callable, Mapping

import pytest

from fusion.records import Case, Cohort

Strata = Mapping[tuple[str, str], int]


@pytest.fixture
def cohort_of() -> Callable[..., Cohort]:
    """Makes a cohort of so many patients by (label, center), every third of them with two views."""

    def make(strata: Strata, *, folds: Mapping[str, str | None] | None = None, backwards: bool = False) -> Cohort:
        cases: list[Case] = []
        for (label, center), count in strata.items():
            for number in range(count):
                patient_id = f"{center}{label[0]}{number}"
                cases += [
                    Case(
                        case_id=f"{patient_id}-{view}",
                        patient_id=patient_id,
                        center=center,
                        image=None,
                        mask=None,
                        label=label,
                        clinical={},
                        fold=None if folds is None else folds[patient_id],
                    )
                    for view in range(1 + (number % 3 == 0))
                ]
        return Cohort(
            name="small",
            cases=tuple(reversed(cases) if backwards else cases),
            label_names=("benign", "malignant"),
            clinical_columns=(),
        )

    return make
