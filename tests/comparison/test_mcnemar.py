import numpy as np
import pytest

from fusion.comparison.mcnemar import mcnemar


def rights(both: int, first_only: int, second_only: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, True, False, False], [both, first_only, second_only, neither])
    second = np.repeat([True, False, True, False], [both, first_only, second_only, neither])
    return first, second


# R: binom.test(min(b, c), b + c)$p.value, and 2 * pbinom(m, n, .5) - dbinom(m, n, .5) (1 - dbinom / 2 where b = c);
# statsmodels: mcnemar([[30, 12], [2, 40]], exact=True).pvalue is the first, too.
@pytest.mark.parametrize(
    ("first_only", "second_only", "p", "mid_p"),
    [
        (12, 2, 0.012939453125, 0.00738525390625),
        (5, 5, 1.0, 0.876953125),
        (0, 6, 0.03125, 0.015625),
        (7, 21, 0.0125409513712, None),
    ],
)
def test_p_is_that_of_r(first_only: int, second_only: int, p: float, mid_p: float | None) -> None:
    test = mcnemar(*rights(30, first_only, second_only, 40))
    assert (test.first_only, test.second_only) == (first_only, second_only)
    assert test.p == pytest.approx(p, rel=1e-9)
    if mid_p is not None:
        assert test.mid_p == pytest.approx(mid_p, rel=1e-9)


def test_a_thousand_discordant_pairs_are_exact_too() -> None:
    # R: binom.test(450, 1000)$p.value
    assert mcnemar(*rights(0, 450, 550, 0)).p == pytest.approx(0.00173053608498, rel=1e-9)


def test_models_that_are_never_apart_are_alike() -> None:
    assert mcnemar(*rights(5, 0, 0, 5)) == (0, 0, 1.0, 1.0)
    empty = np.zeros(0, dtype=bool)
    assert mcnemar(empty, empty) == (0, 0, 1.0, 1.0)


def test_rows_of_a_patient_are_one_coin() -> None:
    # Patients' differences 2, -1, 3, 1 and 0. R, all 16 signs:
    # g <- as.matrix(expand.grid(rep(list(c(-1, 1)), 4))) %*% c(2, 1, 3, 1)
    # c(mean(abs(g) >= 5), mean(abs(g) > 5) + mean(abs(g) == 5) / 2)
    first = np.array([1, 1, 0, 1, 1, 1, 1, 1, 0], dtype=bool)
    second = np.array([0, 0, 1, 0, 0, 0, 0, 0, 1], dtype=bool)
    patients = list("aabcccdee")
    test = mcnemar(first, second, patients=patients)
    assert (test.first_only, test.second_only) == (7, 2)
    assert (test.p, test.mid_p) == (0.375, 0.25)


def test_copies_of_rows_prove_nothing() -> None:
    first, second = rights(10, 8, 2, 10)
    patients = np.arange(30)
    repeated = mcnemar(np.tile(first, 5), np.tile(second, 5), patients=np.tile(patients, 5))
    assert repeated.p == pytest.approx(mcnemar(first, second).p)
    assert mcnemar(np.tile(first, 5), np.tile(second, 5)).p < repeated.p / 100
