from typing import Any

import pytest

from fusion.explanation.deletion import Areas
from fusion.explanation.faithfulness import Checks, judge

BARS = {"completeness_error": 0.01, "p": 0.05, "similarity_randomized": 0.7}


def checks(**changes: float | None) -> Checks:
    areas = {"deletion": 0.4, "deletion_random": 0.6, "insertion": 0.8, "insertion_random": 0.6}
    others = {"completeness_error": 0.002, "similarity_randomized": 0.1}
    return Checks(
        areas=Areas(**{name: changes.get(name, value) for name, value in areas.items()}),  # type: ignore[arg-type]
        **{name: changes.get(name, value) for name, value in others.items()},  # type: ignore[arg-type]
    )


def several(n_cases: int, **changes: Any) -> list[Checks]:
    """Good ones, a little apart, so that no gains are tied."""
    return [
        checks(**{"deletion": 0.4 - i / 100, "insertion": 0.8 + i / 100, "similarity_randomized": i / 100} | changes)
        for i in range(n_cases)
    ]


def test_six_cases_that_agree_are_enough() -> None:
    verdict = judge(several(6), bars=BARS)
    assert str(verdict) == "faithful"
    # All of six gains above 0: one of 2 to the 6 signs.
    assert verdict.deletion_p == verdict.insertion_p == 1 / 64
    assert verdict.deletion_gain == pytest.approx(0.225)
    assert verdict.insertion_gain == pytest.approx(0.225)
    assert verdict.similarity_randomized == pytest.approx(0.025)


def test_one_small_loss_is_borne_and_a_large_one_not() -> None:
    small = [*several(5), checks(deletion=0.61)]
    assert str(judge(small, bars=BARS)) == "faithful"
    assert judge(small, bars=BARS).deletion_p == 2 / 64
    large = [*several(5), checks(deletion=0.9)]
    # Six of seven and more lost ranks out of 21: 14 of 64 signs do as badly.
    assert str(judge(large, bars=BARS)) == "unproven: deletion not shown to beat random (p = 0.22, 6 cases)"


def test_too_few_cases_prove_nothing() -> None:
    assert str(judge(several(4), bars=BARS)).startswith(
        "unproven: deletion not shown to beat random (p = 0.06, 4 cases)"
    )
    assert str(judge(several(1), bars=BARS)).endswith("insertion not shown to beat random (p = 0.50, 1 case)")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"deletion": 0.61}, "deletion does no better than random"),
        ({"insertion": 0.59}, "insertion does no better than random"),
        ({"similarity_randomized": 0.85}, "survives a randomized network (rank correlation 0.85)"),
        ({"similarity_randomized": float("nan")}, "the same everywhere"),
    ],
)
def test_a_bar_that_is_broken_makes_it_unfaithful(changes: dict[str, float], why: str) -> None:
    assert str(judge(several(6, **changes), bars=BARS)) == f"unfaithful: {why}"


def test_one_case_whose_sum_is_off_is_enough() -> None:
    verdict = judge([*several(5), checks(completeness_error=0.034)], bars=BARS)
    assert str(verdict) == "unfaithful: completeness error 3.4%, over 1%"
    assert verdict.completeness_error == 0.034


def test_all_that_is_broken_is_said() -> None:
    verdict = judge(several(6, deletion=0.7, insertion=0.5, similarity_randomized=0.9), bars=BARS)
    assert len(verdict.broken) == 3


def test_a_method_that_promises_no_sum_is_not_asked_for_it() -> None:
    verdict = judge(several(6, completeness_error=None), bars=BARS)
    assert str(verdict) == "faithful"
    assert verdict.completeness_error is None


def test_a_network_that_does_not_care_gives_no_gain() -> None:
    verdict = judge(several(6, deletion=0.6, insertion=0.6), bars=BARS)
    assert str(verdict) == "unfaithful: deletion does no better than random; insertion does no better than random"
    assert verdict.deletion_p == 1


def test_a_case_that_has_nothing_to_compare_is_left_out_of_the_mean() -> None:
    verdict = judge([*several(5, similarity_randomized=0.2), checks(similarity_randomized=float("nan"))], bars=BARS)
    assert verdict.similarity_randomized == pytest.approx(0.2)
