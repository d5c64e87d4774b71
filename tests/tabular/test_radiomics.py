import json

import numpy as np
import pytest

from fusion.errors import FusionError
from fusion.records import FeatureTable
from fusion.tabular.radiomics import RadiomicsScaler

NAN, INF = float("nan"), float("inf")


def table(**columns: list[float]) -> FeatureTable:
    values = np.array(list(columns.values()), dtype=np.float64).T
    return FeatureTable(case_ids=tuple(map(str, range(len(values)))), names=tuple(columns), values=values)


def rows(given: FeatureTable, index: list[int]) -> FeatureTable:
    return FeatureTable(case_ids=tuple(given.case_ids[i] for i in index), names=given.names, values=given.values[index])


def fit(given: FeatureTable, *, max_correlation: float = 1.0, clip: float = 5.0) -> RadiomicsScaler:
    return RadiomicsScaler.fit(given, max_correlation=max_correlation, clip=clip)


@pytest.fixture
def drawn() -> FeatureTable:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((20, 6)) * 10.0 ** np.arange(-3, 3) + rng.standard_normal(6)
    values[3, 2], values[5, 4] = NAN, INF
    return FeatureTable(case_ids=tuple(map(str, range(20))), names=tuple("abcdef"), values=values)


def test_features_are_standardized_by_hand() -> None:
    scaler = fit(table(x=[1.0, 3.0, 5.0, 7.0]))
    # Mean 4, population variance (9 + 1 + 1 + 9) / 4 = 5.
    assert scaler.centers == (4.0,)
    assert scaler.scales == pytest.approx((5**0.5,))
    standardized = scaler.transform(table(x=[4.0, 9.0]))
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
    together = scaler.transform(drawn)
    for row in range(20):
        np.testing.assert_array_equal(scaler.transform(rows(drawn, [row]))[0], together[row])


def test_fitting_and_scaling_leave_the_table_as_it_was(drawn: FeatureTable) -> None:
    before = drawn.values.copy()
    fit(drawn).transform(drawn)
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
    assert scaler.centers == (3.0,)
    assert scaler.scales == pytest.approx(((44 / 6) ** 0.5,))
    expected = (2.0 - 3.0) / (44 / 6) ** 0.5
    assert scaler.transform(table(x=[NAN, INF, -INF, 2.0]))[:, 0] == pytest.approx([expected] * 4)


def test_a_feature_that_training_never_knew_is_dropped() -> None:
    given = table(never=[NAN, INF, -INF], once=[NAN, 3.0, NAN], x=[1.0, 2.0, 3.0])
    assert fit(given).names == ("x",)


def test_standardized_values_are_clipped_on_both_sides() -> None:
    scaler = fit(table(x=[-1.0, 1.0]), clip=2.5)
    assert scaler.transform(table(x=[2.0, 1e9, -1e9, -2.4]))[:, 0] == pytest.approx([2.0, 2.5, -2.5, -2.4])


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
        assert fit(table(a=a, b=b, c=c), max_correlation=0.7).names == ("a",)

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
    np.testing.assert_array_equal(scaler.transform(shuffled), scaler.transform(drawn))


def test_a_missing_feature_is_named() -> None:
    scaler = fit(table(a=[1.0, 2.0], b=[3.0, 5.0], c=[3.0, 1.0], d=[0.0, 1.0]))
    with pytest.raises(FusionError) as raised:
        scaler.transform(table(a=[1.0], d=[1.0]))
    assert str(raised.value) == (
        "radiomics: required the 4 features of training, came a table without ['b', 'c']; "
        "extract with the settings that the model was trained with"
    )
    with pytest.raises(FusionError, match=r"without \['a', 'b', 'c'\] and more;"):
        scaler.transform(table(z=[1.0]))


def test_a_dropped_feature_is_not_missed() -> None:
    scaler = fit(table(a=[1.0, 2.0], constant=[3.0, 3.0]))
    assert scaler.transform(table(a=[1.5])).tolist() == [[0.0]]


def test_it_survives_json_exactly(drawn: FeatureTable) -> None:
    scaler = fit(drawn, max_correlation=0.6)
    copy = RadiomicsScaler.from_state(json.loads(json.dumps(scaler.state())))
    assert copy == scaler
    np.testing.assert_array_equal(copy.transform(drawn), scaler.transform(drawn))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 3)])
def test_too_little_to_fit_on_keeps_no_feature(shape: tuple[int, int]) -> None:
    n_rows, n_columns = shape
    given = FeatureTable(case_ids=tuple(map(str, range(n_rows))), names=tuple("abc"[:n_columns]), values=np.ones(shape))
    scaler = fit(given, max_correlation=0.9)
    assert scaler.names == ()
    assert scaler.transform(given).shape == (n_rows, 0)
