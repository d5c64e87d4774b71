import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fusion.errors import FusionError
from fusion.records import Case, FeatureTable
from fusion.tabular.radiomics import RadiomicsScaler

NAN, INF = float("nan"), float("inf")


def table(**columns: list[float]) -> FeatureTable:
    values = np.array(list(columns.values()), dtype=np.float64).T
    return FeatureTable(case_ids=tuple(map(str, range(len(values)))), names=tuple(columns), values=values)


def rows(given: FeatureTable, index: list[int]) -> FeatureTable:
    return FeatureTable(case_ids=tuple(given.case_ids[i] for i in index), names=given.names, values=given.values[index])


def cases_of(case_ids: Sequence[str], *, center: str = "A") -> list[Case]:
    return [
        Case(case_id=case_id, patient_id=case_id, center=center, image=None, mask=None, label=None, clinical={})
        for case_id in case_ids
    ]


def fit_on(given: FeatureTable, cases: Sequence[Case], **changes: Any) -> RadiomicsScaler:
    settings = {
        "stable": None,
        "columns": (),
        "harmonization": {"name": "none"},
        "max_correlation": 1.0,
        "clip": 5.0,
    }
    return RadiomicsScaler.fit(given, cases, **{**settings, **changes})


def fit(given: FeatureTable, **changes: Any) -> RadiomicsScaler:
    return fit_on(given, cases_of(given.case_ids), **changes)


def transform(scaler: RadiomicsScaler, given: FeatureTable) -> NDArray[np.float32]:
    return scaler.transform(given, cases_of(given.case_ids))


@pytest.fixture
def drawn() -> FeatureTable:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((20, 6)) * 10.0 ** np.arange(-3, 3) + rng.standard_normal(6)
    values[3, 2], values[5, 4] = NAN, INF
    return FeatureTable(case_ids=tuple(map(str, range(20))), names=tuple("abcdef"), values=values)


def test_features_are_standardized_by_hand() -> None:
    scaler = fit(table(x=[1.0, 3.0, 5.0, 7.0]))
    # Mean 4, population variance (9 + 1 + 1 + 9) / 4 = 5.
    assert scaler.means == (4.0,)
    assert scaler.scales == pytest.approx((5**0.5,))
    standardized = transform(scaler, table(x=[4.0, 9.0]))
    assert standardized.dtype == np.float32
    assert standardized[:, 0] == pytest.approx([0.0, 5**0.5])


def test_patients_who_are_not_fitted_on_change_nothing(drawn: FeatureTable) -> None:
    training, others = list(range(12)), list(range(12, 20))
    state = fit(rows(drawn, training), max_correlation=0.6).state()
    values = drawn.values.copy()
    values[others] = np.array([1e12, -1e12, NAN, INF, -INF, 0.0])
    extreme = FeatureTable(case_ids=drawn.case_ids, names=drawn.names, values=values)
    assert fit(rows(extreme, training), max_correlation=0.6).state() == state
    assert fit(rows(extreme, [*training, 12]), max_correlation=0.6).state() != state


def test_a_row_is_scaled_the_same_whoever_stands_beside_it(drawn: FeatureTable) -> None:
    scaler = fit(rows(drawn, list(range(12))))
    together = transform(scaler, drawn)
    for row in range(20):
        np.testing.assert_array_equal(transform(scaler, rows(drawn, [row]))[0], together[row])


def test_fitting_and_scaling_leave_the_table_as_it_was(drawn: FeatureTable) -> None:
    before = drawn.values.copy()
    transform(fit(drawn), drawn)
    np.testing.assert_array_equal(drawn.values, before)


def test_constant_features_are_dropped() -> None:
    given = table(
        zero=[0.0] * 6,
        # Its computed deviation is 1e-17.
        tenth=[0.1] * 6,
        large=[1e12] * 6,
        rounding=[1.0, 1.0 + 2e-16, 1.0, 1.0, 1.0, 1.0],
        tiny=[1e-9, 2e-9, 3e-9, 4e-9, 5e-9, 6e-9],
        offset=[1e6, 1e6 + 1, 1e6, 1e6, 1e6 + 1, 1e6],
    )
    assert fit(given).names == ("tiny", "offset")


def test_missing_values_become_the_training_median_and_are_not_counted() -> None:
    scaler = fit(table(x=[1.0, NAN, 2.0, INF, 9.0, -INF]))
    # Known: 1, 2, 9; filled: 1, 2, 2, 2, 9, 2 with mean 3 and variance (4 + 1 + 1 + 1 + 36 + 1) / 6.
    assert scaler.fills == (2.0,)
    assert scaler.means == (3.0,)
    assert scaler.scales == pytest.approx(((44 / 6) ** 0.5,))
    expected = (2.0 - 3.0) / (44 / 6) ** 0.5
    assert transform(scaler, table(x=[NAN, INF, -INF, 2.0]))[:, 0] == pytest.approx([expected] * 4)


def test_a_feature_that_training_never_knew_is_dropped() -> None:
    given = table(never=[NAN, INF, -INF], once=[NAN, 3.0, NAN], x=[1.0, 2.0, 3.0])
    assert fit(given).names == ("x",)


def test_standardized_values_are_clipped_on_both_sides() -> None:
    scaler = fit(table(x=[-1.0, 1.0]), clip=2.5)
    assert transform(scaler, table(x=[2.0, 1e9, -1e9, -2.4]))[:, 0] == pytest.approx([2.0, 2.5, -2.5, -2.4])


class TestCorrelation:
    """a, b and c are rankings of eight: sums of squared differences 14, 10 and 24 make 1 - 6 s / 504 of them."""

    a, b, c = (
        [float(rank) for rank in ranks] for ranks in ("01234567", "12034765", "21036745")
    )  # rho: a-b 0.833, b-c 0.881, a-c 0.714

    def test_the_earlier_of_two_close_features_stays(self) -> None:
        assert fit(table(a=self.a, b=self.b), max_correlation=0.83).names == ("a",)
        assert fit(table(b=self.b, a=self.a), max_correlation=0.83).names == ("b",)
        assert fit(table(a=self.a, b=self.b), max_correlation=0.84).names == ("a", "b")

    def test_what_is_dropped_drops_nothing_itself(self) -> None:
        a, b, c = self.a, self.b, self.c
        assert fit(table(a=a, b=b, c=c), max_correlation=0.8).names == ("a", "c")
        assert fit(table(c=c, b=b, a=a), max_correlation=0.8).names == ("c", "a")
        assert fit(table(b=b, a=a, c=c), max_correlation=0.8).names == ("b",)
        assert fit(table(a=a, b=b, c=c), max_correlation=0.6).names == ("a",)

    def test_it_is_of_ranks(self) -> None:
        # Pearson's correlation of x and exp(3 x) is 0.72 here, Spearman's is 1.
        x = [0.0, 1.0, 2.0, 3.0, 4.0]
        assert fit(table(x=x, y=np.exp(np.multiply(3, x)).tolist()), max_correlation=0.99).names == ("x",)

    def test_a_falling_feature_is_as_close_as_a_rising_one(self) -> None:
        assert fit(table(a=self.a, b=np.negative(self.b).tolist()), max_correlation=0.83).names == ("a",)

    def test_ties_share_their_rank(self) -> None:
        # Ranks 1.5 1.5 3.5 3.5 and 1 2 3 4: rho = 4 / sqrt(4 * 5) = 0.894.
        given = table(x=[0.0, 0.0, 1.0, 1.0], y=[1.0, 2.0, 3.0, 4.0])
        assert fit(given, max_correlation=0.89).names == ("x",)
        assert fit(given, max_correlation=0.9).names == ("x", "y")

    def test_a_constant_feature_drops_nothing(self) -> None:
        assert fit(table(k=[1.0] * 8, a=self.a, b=self.b), max_correlation=0.8).names == ("a",)


def test_columns_are_found_by_name(drawn: FeatureTable) -> None:
    scaler = fit(drawn)
    shuffled = FeatureTable(
        case_ids=drawn.case_ids,
        names=("new", *drawn.names[::-1]),
        values=np.column_stack([np.zeros(20), drawn.values[:, ::-1]]),
    )
    np.testing.assert_array_equal(transform(scaler, shuffled), transform(scaler, drawn))


def test_a_missing_feature_is_named() -> None:
    scaler = fit(table(a=[1.0, 2.0], b=[3.0, 5.0], c=[3.0, 1.0], d=[0.0, 1.0]))
    with pytest.raises(FusionError) as raised:
        transform(scaler, table(a=[1.0], d=[1.0]))
    assert str(raised.value) == (
        "radiomics: required the 4 features of training, came a table without ['b', 'c']; "
        "extract with the settings that the model was trained with"
    )
    with pytest.raises(FusionError, match=r"without \['a', 'b', 'c'\] and more;"):
        transform(scaler, table(z=[1.0]))


def test_a_dropped_feature_is_not_missed() -> None:
    scaler = fit(table(a=[1.0, 2.0], constant=[3.0, 3.0]))
    assert transform(scaler, table(a=[1.5])).tolist() == [[0.0]]


def test_it_survives_json_exactly(drawn: FeatureTable) -> None:
    scaler = fit(drawn, max_correlation=0.6)
    copy = RadiomicsScaler.from_state(json.loads(json.dumps(scaler.state())))
    assert copy == scaler
    np.testing.assert_array_equal(transform(copy, drawn), transform(scaler, drawn))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 3)])
def test_too_little_to_fit_on_keeps_no_feature(shape: tuple[int, int]) -> None:
    n_rows, n_columns = shape
    given = FeatureTable(case_ids=tuple(map(str, range(n_rows))), names=tuple("abc"[:n_columns]), values=np.ones(shape))
    scaler = fit(given, max_correlation=0.9)
    assert scaler.names == ()
    assert scaler.n_candidates == (n_columns if n_rows else 0)
    assert transform(scaler, given).shape == (n_rows, 0)


def test_rows_are_joined_by_case_id() -> None:
    given = table(a=[1.0, 2.0, 4.0, 100.0, -7.0])
    scaler = fit(rows(given, [0, 1, 2]))
    some = cases_of(["2", "0", "nobody", "1"])
    assert fit_on(given, some) == scaler
    known = cases_of(["4", "1"])
    np.testing.assert_array_equal(scaler.transform(given, known), transform(scaler, given)[[4, 1]])
    with pytest.raises(ValueError, match="1 of 4 cases have no row"):
        scaler.transform(given, some)


def test_only_stable_features_are_kept() -> None:
    given = table(a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.5], c=[3.0, 1.0, 2.0])
    assert fit(given, stable=("c", "b", "elsewhere")).names == ("b", "c")
    # An unstable feature drops none that resembles it.
    assert fit(given, stable=("b",), max_correlation=0.9).names == ("b",)
    assert fit(given, stable=()).names == ()
    # All three were looked at, whatever is left.
    assert [fit(given, **changes).n_candidates for changes in ({}, {"stable": ("b",)}, {"max_correlation": 0.1})] == [
        3
    ] * 3


COMBAT: dict[str, Any] = {
    "name": "combat",
    "parametric": True,
    "covariates": [],
    "reference": None,
    "min_patients": 2,
    "unseen": "refuse",
}


class TestHarmonization:
    """Two centers of twelve cases; a third one that training may not know."""

    @pytest.fixture
    def given(self) -> FeatureTable:
        draw = np.random.default_rng(4)
        shift = np.repeat([[0.0], [3.0], [-2.0]], 12, axis=0)
        values = draw.standard_normal((36, 6)) + shift * np.array([1, -1, 2, 0, 1, 1])
        values[:, 5] = 7.0 + shift[:, 0]  # Only tells the center.
        values[2, 1] = NAN
        return FeatureTable(case_ids=tuple(map(str, range(36))), names=tuple("abcdef"), values=values)

    @pytest.fixture
    def cases(self) -> list[Case]:
        ids = [str(number) for number in range(36)]
        return [*cases_of(ids[:12], center="A"), *cases_of(ids[12:24], center="B"), *cases_of(ids[24:], center="C")]

    def fit(self, given: FeatureTable, cases: list[Case], **changes: Any) -> RadiomicsScaler:
        harmonization = {**COMBAT, **changes.pop("combat", {})}
        return fit_on(given, cases, **{"harmonization": harmonization, **changes})

    def test_centers_come_together_and_are_standardized_after(self, given: FeatureTable, cases: list[Case]) -> None:
        train = cases[:24]
        values = self.fit(given, train).transform(given, train)
        plain = fit_on(given, train)
        apart = np.abs(np.diff(values.reshape(2, 12, -1).mean(axis=1), axis=0)).max()
        before = np.abs(np.diff(plain.transform(given, train).reshape(2, 12, -1).mean(axis=1), axis=0)).max()
        assert apart < 0.2 < 1.5 < before
        assert values.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-6)
        assert values.std(axis=0) == pytest.approx(np.ones(5), abs=1e-6)

    def test_a_feature_that_only_tells_the_center_is_dropped(self, given: FeatureTable, cases: list[Case]) -> None:
        assert self.fit(given, cases[:24]).names == ("a", "b", "c", "d", "e")
        assert "f" in fit_on(given, cases[:24]).names
        only = FeatureTable(case_ids=given.case_ids, names=("f",), values=given.values[:, 5:])
        assert self.fit(only, cases[:24]).names == ()

    def test_a_missing_value_is_a_usual_one_of_its_center(self, given: FeatureTable, cases: list[Case]) -> None:
        """Between centers that lie far apart the median of all would be an outlier in each."""
        values = given.values.copy()
        values[12:24] += 100
        holes = values.copy()
        holes[[0, 13, 14], 0] = NAN
        tables = [FeatureTable(case_ids=given.case_ids, names=given.names, values=each) for each in (values, holes)]
        scalers = [self.fit(each, cases[:24]) for each in tables]
        known = [row for row in range(24) if row not in (0, 13, 14)]
        whole, lacking = (
            scaler.transform(each, cases[:24])[:, 0] for scaler, each in zip(scalers, tables, strict=True)
        )
        assert np.abs(lacking[known] - whole[known]).max() < 0.5
        assert lacking[[0, 13, 14]] == pytest.approx([np.median(lacking[known])] * 3, abs=1e-6)

    def test_correlation_is_that_of_harmonized_features(self, given: FeatureTable, cases: list[Case]) -> None:
        # Far apart, the centers alone make every shifted feature resemble every other.
        values = given.values.copy()
        values[12:24, :3] += 50
        far = FeatureTable(case_ids=given.case_ids, names=given.names, values=values)
        plain = fit_on(far, cases[:24], max_correlation=0.6)
        assert set("bc").isdisjoint(plain.names)
        assert self.fit(far, cases[:24], max_correlation=0.6).names[:3] == ("a", "b", "c")

    def test_nobody_outside_of_training_changes_anything(self, given: FeatureTable, cases: list[Case]) -> None:
        """The leak: ComBat fitted on all rows would move the training values, as the second half shows."""
        train = [*cases[:9], *cases[12:21]]
        fitted = self.fit(given, train)
        values = given.values.copy()
        values[[9, 10, 11, 21, 22, 23, *range(24, 36)]] = np.array([1e9, -1e9, NAN, INF, 0.0, 5.0])
        changed = FeatureTable(case_ids=given.case_ids, names=given.names, values=values)
        again = self.fit(changed, train)
        assert json.dumps(again.state()) == json.dumps(fitted.state())
        assert again.transform(changed, train).tobytes() == fitted.transform(given, train).tobytes()

        values = given.values.copy()
        values[[9, 10, 11], :5] += 2.0
        moved = FeatureTable(case_ids=given.case_ids, names=given.names, values=values)
        leaking = [self.fit(which, cases[:24]).transform(which, train) for which in (given, moved)]
        assert np.abs(leaking[0] - leaking[1]).max() > 0.1

    def test_a_case_is_mapped_the_same_whoever_stands_beside_it(self, given: FeatureTable, cases: list[Case]) -> None:
        scaler = self.fit(given, cases[:24], combat={"unseen": "reference"})
        together = scaler.transform(given, cases)
        for row, case in enumerate(cases):
            assert scaler.transform(given, [case]).tobytes() == together[row].tobytes()

    def test_only_the_cases_that_are_asked_for_are_refused(self, given: FeatureTable, cases: list[Case]) -> None:
        scaler = self.fit(given, cases[:24])
        scaler.transform(given, cases[:24])
        with pytest.raises(FusionError, match=r"\(A, B\), came center C"):
            scaler.transform(given, cases[20:])

    def test_it_survives_a_checkpoint_exactly(self, given: FeatureTable, cases: list[Case]) -> None:
        scaler = self.fit(given, cases[:24], combat={"unseen": "none"}, max_correlation=0.5)
        stream = io.BytesIO()
        torch.save(scaler.state(), stream)
        stream.seek(0)
        copy = RadiomicsScaler.from_state(torch.load(stream, weights_only=True))
        assert copy == scaler
        assert copy.transform(given, cases).tobytes() == scaler.transform(given, cases).tobytes()
