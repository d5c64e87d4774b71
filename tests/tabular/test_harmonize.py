from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from fusion.errors import FusionError, InputError
from fusion.records import Case, ClinicalColumn, Cohort, Fold
from fusion.tabular.combat import estimate_combat
from fusion.tabular.harmonize import (
    CombatHarmonizer,
    check_harmonization,
    fill_by_center,
    fitted_centers,
    varies_within,
)

CONF = Path(__file__).parents[2] / "conf/harmonization"
BUSBRA = Path(__file__).parents[2] / "../shared/data/busbra"
COLUMNS = (
    ClinicalColumn(name="age", kind="number", unit="years"),
    ClinicalColumn(name="sex", kind="category"),
    ClinicalColumn(name="ward", kind="category"),
)
NAN = float("nan")


def option(**changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load((CONF / "combat.yaml").read_text()), **changes}


def make_cases(centers: Sequence[str], **clinical: Sequence[Any]) -> list[Case]:
    return [
        Case(
            case_id=str(number),
            patient_id=f"patient {number}",
            center=center,
            image=None,
            mask=None,
            label=("benign", "malignant")[number % 2],
            clinical={name: values[number] for name, values in clinical.items()},
        )
        for number, center in enumerate(centers)
    ]


def fit(values: NDArray[np.float64], cases: Sequence[Case], **changes: Any) -> CombatHarmonizer:
    return CombatHarmonizer.fit(values, cases, columns=COLUMNS, harmonization=option(**changes), clip=5.0)


@pytest.fixture
def drawn() -> tuple[NDArray[np.float64], list[Case]]:
    """Forty cases of three centers, one of them of only three cases."""
    cases = make_cases(["B"] * 16 + ["A"] * 21 + ["C"] * 3, age=np.random.default_rng(1).normal(50, 10, 40).tolist())
    return np.random.default_rng(0).normal(size=(40, 4)) * [1, 10, 1e6, 1e-6], cases


class TestSimulation:
    """Forty features of 300 cases of three centers: planted shifts and stretches, an outcome, and an age."""

    n_features = 40

    def simulate(self, *, older: float) -> tuple[NDArray[np.float64], list[Case], dict[str, NDArray[np.float64]]]:
        draw = np.random.default_rng(7)
        center = np.repeat([0, 1, 2], [150, 100, 50])
        age = draw.normal(50, 10, 300) + older * center
        cases = make_cases([f"center {number}" for number in center], age=age.tolist())
        outcome = np.array([float(case.label == "malignant") for case in cases])
        truth = {
            "outcome": draw.normal(0, 1, self.n_features),
            "age": draw.normal(0, 0.1, self.n_features),
            "shift": np.vstack([np.zeros(self.n_features), draw.normal(0, 2, (2, self.n_features))]),
            "stretch": np.vstack([np.ones(self.n_features), draw.uniform(0.5, 2, (2, self.n_features))]),
        }
        noise = draw.normal(size=(300, self.n_features))
        values = (
            outcome[:, None] * truth["outcome"]
            + (age[:, None] - 50) * truth["age"]
            + truth["shift"][center]
            + truth["stretch"][center] * noise
        )
        return values, cases, truth

    @staticmethod
    def between(values: NDArray[np.float64], cases: list[Case]) -> float:
        """Share of the variance that is between the centers, the mean of all features."""
        centers = np.array([case.center for case in cases])
        means = np.stack([values[centers == center].mean(axis=0) for center in centers])
        return float((means.var(axis=0) / values.var(axis=0)).mean())

    @staticmethod
    def difference(values: NDArray[np.float64], cases: list[Case]) -> NDArray[np.float64]:
        """Malignant minus benign, of each feature."""
        outcome = np.array([case.label == "malignant" for case in cases])
        return np.asarray(values[outcome].mean(axis=0) - values[~outcome].mean(axis=0))

    @pytest.mark.parametrize("parametric", [True, False])
    def test_the_centers_go_and_the_outcome_stays(self, parametric: bool) -> None:
        values, cases, truth = self.simulate(older=0.0)
        harmonized = fit(values, cases, parametric=parametric).apply(values, cases)
        assert self.between(values, cases) > 0.3
        assert self.between(harmonized, cases) < 0.02
        spread = [harmonized[[case.center == f"center {i}" for case in cases]].std(axis=0) for i in range(3)]
        # The shrunken estimates leave a little.
        assert np.abs(np.log(spread[1] / spread[0])).mean() < 0.15 < 0.3 < np.abs(np.log(truth["stretch"][1])).mean()
        found = self.difference(harmonized, cases)
        assert np.corrcoef(found, truth["outcome"])[0, 1] > 0.95
        assert np.polyfit(truth["outcome"], found, 1)[0] == pytest.approx(1, abs=0.2)

    def test_new_cases_of_known_centers_come_together_too(self) -> None:
        values, cases, _ = self.simulate(older=0.0)
        number = np.arange(300)
        train, test = number[number % 4 < 2], number[number % 4 >= 2]
        fitted = fit(values[train], [cases[i] for i in train])
        new = [cases[i] for i in test]
        assert self.between(values[test], new) > 0.3
        assert self.between(fitted.apply(values[test], new), new) < 0.06

    def test_a_covariate_keeps_its_effect_where_centers_differ_in_it(self) -> None:
        values, cases, truth = self.simulate(older=12.0)
        age = np.array([float(case.clinical["age"]) for case in cases])  # type: ignore[arg-type]

        def slope_error(harmonized: NDArray[np.float64]) -> float:
            found = np.linalg.lstsq(np.column_stack([np.ones(300), age]), harmonized, rcond=None)[0][1]
            return float(np.abs(found - truth["age"]).mean())

        kept, lost = (fit(values, cases, covariates=names).apply(values, cases) for names in (["age"], []))
        assert slope_error(kept) < 0.02
        assert slope_error(lost) > 1.5 * slope_error(kept)


def test_it_is_the_estimate_of_the_cases_and_centers(drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
    values, cases = drawn
    fitted = fit(values, cases)
    assert fitted.centers == ("A", "B", "C")
    numbers = np.array([fitted.centers.index(case.center) for case in cases])
    expected = estimate_combat(values, numbers, np.zeros((40, 0)), parametric=True)
    assert np.array_equal(fitted.shifts, expected.shifts)
    assert np.array_equal(fitted.spreads, expected.spreads)
    by_hand = (
        ((values - expected.means) / expected.scales - expected.shifts[numbers]) / np.sqrt(expected.spreads[numbers])
    ) * expected.scales + expected.means
    np.testing.assert_allclose(fitted.apply(values, cases), by_hand, rtol=1e-13)


def test_a_case_does_not_depend_on_others(drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
    values, cases = drawn
    fitted = fit(values, cases, covariates=["age"])
    together = fitted.apply(values, cases)
    for row, case in enumerate(cases):
        assert fitted.apply(values[[row]], [case]).tobytes() == together[row].tobytes()


def test_a_missing_value_stays_missing(drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
    values, cases = drawn
    fitted = fit(values, cases)
    whole = fitted.apply(values, cases)
    values[3, 1] = NAN
    holes = fitted.apply(values, cases)
    assert np.isnan(holes[3, 1])
    whole[3, 1] = NAN
    np.testing.assert_array_equal(holes, whole)


class TestUnseenCenters:
    def test_they_are_refused_with_what_to_do(self, drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
        values, cases = drawn
        fitted = fit(values, cases, unseen="refuse")
        strangers = [replace(case, center=center) for case, center in zip(cases[:3], ("Z", "A", "Y"), strict=True)]
        with pytest.raises(FusionError) as raised:
            fitted.apply(values[:3], strangers)
        text = str(raised.value)
        for part in ("(A, B, C)", "came center Y, Z", "unseen=refuse", "unseen=reference", "none"):
            assert part in text
        fitted.apply(values[1:2], strangers[1:2])

    @pytest.mark.parametrize(("reference", "stand_in"), [(None, "A"), ("B", "B")])
    def test_the_reference_is_the_largest_center_or_a_named_one(
        self, reference: str | None, stand_in: str, drawn: tuple[NDArray[np.float64], list[Case]]
    ) -> None:
        values, cases = drawn
        fitted = fit(values, cases, unseen="reference", reference=reference)
        assert fitted.reference == stand_in
        strangers = [replace(case, center="Z") for case in cases]
        alike = [replace(case, center=stand_in) for case in cases]
        np.testing.assert_array_equal(fitted.apply(values, strangers), fitted.apply(values, alike))

    def test_the_largest_is_counted_in_patients(self) -> None:
        cases = make_cases(["A"] * 9 + ["B"] * 5)
        cases = [
            replace(case, patient_id=f"A{number % 3}") if case.center == "A" else case
            for number, case in enumerate(cases)
        ]
        values = np.random.default_rng(0).normal(size=(14, 3))
        assert fit(values, cases, unseen="reference").reference == "B"

    def test_or_they_keep_their_values(self, drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
        values, cases = drawn
        fitted = fit(values, cases, unseen="none", covariates=["age"])
        strangers = [replace(case, center="Z") if number % 2 else case for number, case in enumerate(cases)]
        found = fitted.apply(values, strangers)
        np.testing.assert_array_equal(found[1::2], values[1::2])
        np.testing.assert_array_equal(found[::2], fitted.apply(values[::2], cases[::2]))

    @pytest.mark.parametrize("unseen", ["reference", "none"])
    def test_a_small_training_center_counts_as_unseen(
        self, unseen: str, drawn: tuple[NDArray[np.float64], list[Case]]
    ) -> None:
        values, cases = drawn
        fitted = fit(values, cases, unseen=unseen, min_patients=4)
        assert fitted.centers == ("A", "B")
        # It has no part in the fit.
        changed = values.copy()
        changed[37:] = 1e9
        assert fit(changed, cases, unseen=unseen, min_patients=4) == fitted
        with pytest.raises(InputError, match=r"training, center C: required at least 4 .* came 3 training patients"):
            fit(values, cases, unseen="refuse", min_patients=4)


def test_images_of_one_patient_do_not_make_a_center(drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
    _, cases = drawn
    twins = [replace(case, patient_id="one") if case.center == "C" else case for case in cases]
    assert fitted_centers(twins, option()) == ("A", "B")
    assert fitted_centers(cases, option()) == ("A", "B", "C")


class TestCovariates:
    def test_the_outcome_cannot_be_one(self, drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
        values, cases = drawn
        for name in ("label", "malignant", "diagnosis", "center"):
            required = r"covariates: required names of clinical columns \(age, sex, ward\); the outcome is none"
            with pytest.raises(InputError, match=f"{required}, came '{name}'"):
                fit(values, cases, covariates=[name])

    def test_labels_change_nothing(self, drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
        values, cases = drawn
        other = [replace(case, label=None) for case in cases]
        assert fit(values, cases, covariates=["age"]) == fit(values, other, covariates=["age"])

    def test_one_that_tells_the_center_is_refused(self, drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
        values, cases = drawn
        named = [replace(case, clinical={**case.clinical, "ward": f"ward of {case.center}"}) for case in cases]
        with pytest.raises(FusionError, match="came age, ward, of which the center is told in training"):
            fit(values, named, covariates=["age", "ward"])
        fit(values, named, covariates=["age"])

    def test_missing_and_unknown_values_are_allowed(self, drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
        values, cases = drawn
        sexes = ["f", "m", "f", None, "m"] * 8
        named: list[Case] = [
            replace(case, clinical={**case.clinical, "sex": sex} if number else {})
            for number, (case, sex) in enumerate(zip(cases, sexes, strict=True))
        ]
        fitted = fit(values, named, covariates=["sex", "age"])
        assert fitted.encoder.inputs == ("age", "sex=f", "sex=m", "sex=missing")
        strange = [replace(case, clinical={"sex": "other"}) for case in named]
        assert np.isfinite(fitted.apply(values, strange)).all()
        assert np.isfinite(fitted.apply(values, named)).all()


def test_it_gives_every_bit_again_in_another_process(drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
    values, cases = drawn
    fitted = fit(values, cases, covariates=["age"], unseen="none")
    content = {
        "state": fitted.state(),
        "values": values.tolist(),
        "centers": [case.center for case in cases],
        "ages": [case.clinical["age"] for case in cases],
    }
    script = """
import json, sys
import numpy as np
from fusion.records import Case
from fusion.tabular.harmonize import CombatHarmonizer
content = json.load(sys.stdin)
cases = [
    Case(case_id=str(i), patient_id=str(i), center=center, image=None, mask=None, label=None, clinical={"age": age})
    for i, (center, age) in enumerate(zip(content["centers"], content["ages"], strict=True))
]
harmonizer = CombatHarmonizer.from_state(content["state"])
print(harmonizer.apply(np.array(content["values"]), cases).tobytes().hex())
print(sorted({"pandas", "scipy", "sklearn", "torch"} & {*sys.modules}))
"""
    process = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(content), capture_output=True, text=True, check=True
    )
    digits, heavy = process.stdout.split("\n")[:2]
    assert digits == fitted.apply(values, cases).tobytes().hex()
    assert heavy == "[]"
    assert CombatHarmonizer.from_state(json.loads(json.dumps(fitted.state()))) == fitted


def test_some_features_can_be_kept(drawn: tuple[NDArray[np.float64], list[Case]]) -> None:
    values, cases = drawn
    fitted = fit(values, cases, covariates=["age"])
    kept = fitted.keep([2, 0])
    np.testing.assert_array_equal(kept.apply(values[:, [2, 0]], cases), fitted.apply(values, cases)[:, [2, 0]])
    assert fitted.keep([]).apply(values[:, []], cases).shape == (40, 0)


def test_variation_is_looked_for_within_fitted_centers() -> None:
    cases = make_cases(["A", "A", "B", "B", "C"])
    values = np.array([[1, 1, 5.0], [1, 2, 5.0], [3, 4, 5.0], [3, 4, 5.0], [7, 7, 1.0]])
    assert varies_within(values, cases, option()).tolist() == [False, True, False]


def test_missing_values_become_their_centers_median() -> None:
    cases = make_cases(["A", "A", "A", "B", "B", "C"])
    values = np.array([[1, NAN], [3, 6], [NAN, 8], [10, NAN], [NAN, NAN], [NAN, 1]])
    filled = fill_by_center(values, cases)
    # Medians of all: of 1, 3, 10 and of 6, 8, 1.
    assert filled.tolist() == [[1, 7], [3, 6], [2, 8], [10, 6], [10, 6], [3, 1]]
    assert np.isnan(values[0, 1])


class TestCheck:
    @pytest.fixture
    def cohort(self) -> Cohort:
        cases = make_cases(["A"] * 8 + ["B"] * 6 + ["C"] * 2, age=[50.0] * 16)
        return Cohort(name="three", cases=tuple(cases), label_names=("benign", "malignant"), clinical_columns=COLUMNS)

    @staticmethod
    def fold(train: Sequence[int], validation: Sequence[int], test: Sequence[int], number: int = 0) -> Fold:
        parts = [frozenset(f"patient {i}" for i in part) for part in (train, validation, test)]
        return Fold(number=number, seed=0, train=parts[0], validation=parts[1], test=parts[2])

    def test_what_can_be_fitted_passes(self, cohort: Cohort) -> None:
        fold = self.fold([*range(4), *range(8, 12), 14, 15], [4, 5], [6, 7, 12, 13])
        check_harmonization(option(covariates=["age"]), cohort, [fold])

    def test_none_asks_for_nothing(self, cohort: Cohort) -> None:
        check_harmonization({"name": "none"}, cohort, [self.fold([0], [], [15])])

    def test_unseen_centers_are_named_by_fold_before_anything_is_trained(self, cohort: Cohort) -> None:
        left_out = self.fold(range(14), [], [14, 15], number=2)
        small = self.fold([*range(12), 14], [12], [13, 15], number=3)
        with pytest.raises(InputError) as raised:
            check_harmonization(option(), cohort, [left_out, small])
        text = str(raised.value)
        assert "2 problems" in text
        assert "fold 2, center C: required at least 2 training patients" in text
        assert "came 0 training patients and 2 others" in text
        assert "fold 3, center C: required" in text
        assert "came 1 training patients and 1 others" in text
        for policy in ("unseen=refuse", "unseen=reference", "unseen=none"):
            assert policy in text
        for unseen in ("reference", "none"):
            check_harmonization(option(unseen=unseen), cohort, [left_out, small])

    def test_one_center_is_not_enough(self, cohort: Cohort) -> None:
        fold = self.fold([*range(8), 14], [], [15])
        with pytest.raises(InputError, match=r"fold 0: required two or more centers of at least 2 .* came A: 8, C: 1"):
            check_harmonization(option(unseen="none"), cohort, [fold])

    def test_the_reference_has_to_be_in_training(self, cohort: Cohort) -> None:
        fold = self.fold(range(14), [], [14, 15])
        with pytest.raises(InputError, match=r"harmonization\.reference to be one of A, B, or null .* came 'C'"):
            check_harmonization(option(unseen="none", reference="C"), cohort, [fold])

    def test_all_wrong_options_are_named_at_once(self, cohort: Cohort) -> None:
        wrong = option(unseen="guess", covariates=["age", "stage"], min_patients=1)
        with pytest.raises(InputError, match="3 problems") as raised:
            check_harmonization(wrong, cohort, [])
        for part in ("one of refuse, reference, none, came 'guess'", "came 'stage'", "2 or more: one has no variance"):
            assert part in str(raised.value)


@pytest.mark.real_data
def test_four_scanners_of_real_images_come_together(tmp_path: Path, compose: Any) -> None:
    if not BUSBRA.is_dir():
        pytest.skip("the cohort is not at ../shared/data/busbra")
    pytest.importorskip("radiomics", reason="PyRadiomics does not exist for Python 3.12 and later")
    from fusion.cohorts.load import load_cohort
    from fusion.radiomics.extract import extract_features

    config = compose(["cohort=busbra", f"cohort.root={BUSBRA.resolve()}", "radiomics.n_jobs=1"])
    radiomics = config["radiomics"]
    radiomics["settings"] |= {"imageType": {"Original": {}}, "featureClass": {"firstorder": None}}
    cohort = load_cohort(config["cohort"], cache_dir=tmp_path, require_labels=True)
    by_center: dict[str, list[Case]] = {}
    for patient in cohort.patients.values():
        by_center.setdefault(patient[0].center, []).append(patient[0])
    assert len(by_center) == 4
    cases = [case for members in by_center.values() for case in members[:10]]
    table = extract_features(cases, radiomics=radiomics, cache_dir=tmp_path)
    values = table.values[:, table.values.std(axis=0) > 0]
    harmonized = fit(values, cases).apply(values, cases)
    before, after = TestSimulation.between(values, cases), TestSimulation.between(harmonized, cases)
    assert after < 0.03 < 0.1 < before
