import itertools

import pytest

from fusion.sweeps.importance import measure_importance

GRID = [
    {"backbone": backbone, "l1": l1, "head": head}
    for backbone, l1, head in itertools.product(("tiny", "resnet18", "resnet50"), ("0", "1e-4", "1e-2"), ("a", "b"))
]
KEYS = ("backbone", "l1", "head")
OF_BACKBONE = {"tiny": 0.6, "resnet18": 0.8, "resnet50": 0.7}
OF_L1 = {"0": 0.0, "1e-4": 0.02, "1e-2": 0.04}


def test_the_variance_is_divided_among_the_values_that_made_it() -> None:
    scores = [OF_BACKBONE[run["backbone"]] + OF_L1[run["l1"]] for run in GRID]
    found = measure_importance(GRID, scores, keys=KEYS, seed=0)
    # Two-way analysis of variance of the balanced grid by hand: 2/300 of the backbones, 2/7500 of the penalties.
    assert found["shares"] == pytest.approx({"backbone": 25 / 26, "l1": 1 / 26, "head": 0.0}, abs=0.05)
    assert (next(iter(found["shares"])), found["n_runs"]) == ("backbone", 18)


def test_numbers_count_by_their_rank_and_not_by_their_scale() -> None:
    def shares(values: dict[str, str]) -> dict[str, float]:
        runs = [run | {"l1": values[run["l1"]]} for run in GRID]
        scores = [OF_BACKBONE[run["backbone"]] + 5 * OF_L1[run["l1"]] for run in GRID]
        return measure_importance(runs, scores, keys=KEYS, seed=0)["shares"]

    assert shares({"0": "0", "1e-4": "1e-4", "1e-2": "1e-2"}) == shares({"0": "1", "1e-4": "2", "1e-2": "3"})


def test_runs_without_a_value_have_their_own() -> None:
    runs = [{"l1": "1"} if number % 2 else {} for number in range(10)]
    found = measure_importance(runs, [0.5 + 0.1 * (number % 2) for number in range(10)], keys=("l1",), seed=0)
    assert found["shares"]["l1"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("n_runs", "keys", "score", "why"),
    [
        (7, ("l1",), 0.1, "takes 8 ranked runs to tell; there are 7"),
        (9, (*KEYS, "a", "b"), 0.1, "takes 10 ranked runs"),
        (12, (), 0.1, "differ in no value"),
        (12, ("l1",), 0.0, "the same inner score"),
    ],
)
def test_it_says_why_there_is_none(n_runs: int, keys: tuple[str, ...], score: float, why: str) -> None:
    found = measure_importance([{"l1": "0"}] * n_runs, [score * n for n in range(n_runs)], keys=keys, seed=0)
    assert why in found["absent"]
