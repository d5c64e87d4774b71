from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion.evaluation import kept_probe
from fusion.evaluation.center_probe import probe_centers
from fusion.evaluation.kept_probe import probe
from fusion.evaluation.settings import Settings
from fusion.records import Case, Cohort, FeatureTable


@pytest.fixture
def settings(compose: Any) -> Settings:
    return Settings.from_config(compose([])["evaluation"], seed=0)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """An entry for each time that the probe is computed."""
    times: list[None] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        times.append(None)
        return probe_centers(*arguments, **options)

    monkeypatch.setattr(kept_probe, "probe_centers", counted)
    return times


def table(n_centers: int = 2) -> tuple[Cohort, FeatureTable]:
    rng = np.random.default_rng(0)
    cases = tuple(
        Case(
            case_id=f"case {number}",
            patient_id=f"patient {number}",
            center="ABC"[number % n_centers],
            image=None,
            mask=None,
            label=("benign", "malignant")[number // 2 % 2],
            clinical={},
        )
        for number in range(24)
    )
    cohort = Cohort(name="x", cases=cases, label_names=("benign", "malignant"), clinical_columns=())
    case_ids = tuple(case.case_id for case in cases)
    return cohort, FeatureTable(case_ids=case_ids, names=("a", "b"), values=rng.normal(size=(24, 2)))


@pytest.mark.parametrize("n_centers", [1, 2])
def test_it_is_computed_once(tmp_path: Path, settings: Settings, computed: list[None], n_centers: int) -> None:
    first = probe(*table(n_centers), settings=settings, cache_dir=tmp_path)
    assert (first is None) == (n_centers == 1)
    assert probe(*table(n_centers), settings=settings, cache_dir=tmp_path) == first
    assert len(computed) == 1


def test_a_damaged_one_is_computed_again(tmp_path: Path, settings: Settings, computed: list[None]) -> None:
    first = probe(*table(), settings=settings, cache_dir=tmp_path)
    (path,) = tmp_path.glob("center_probe/*.json")
    whole = path.read_text()
    for damage in (whole[:50], "", "[1]", '{"key": "another", "content": null}'):
        path.write_text(damage)
        assert probe(*table(), settings=settings, cache_dir=tmp_path) == first
        assert path.read_text() == whole
    assert len(computed) == 5


def test_another_cohort_other_features_or_settings_are_another_one(
    tmp_path: Path, settings: Settings, computed: list[None]
) -> None:
    cohort, features = table()
    moved = replace(cohort, cases=(replace(cohort.cases[0], center="B"), *cohort.cases[1:]))
    of_another = replace(cohort, cases=(replace(cohort.cases[0], label="malignant"), *cohort.cases[1:]))
    others = [
        (cohort, features, settings),
        (moved, features, settings),
        (of_another, features, settings),
        (cohort, replace(features, values=features.values + 1), settings),
        (cohort, features, replace(settings, seed=1)),
        (cohort, features, replace(settings, center_probe={**settings.center_probe, "n_components": 1})),
    ]
    for number, (of_cohort, of_features, under) in enumerate(others, start=1):
        probe(of_cohort, of_features, settings=under, cache_dir=tmp_path)
        assert len(computed) == number
