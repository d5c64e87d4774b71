import math

import numpy as np
import pandas as pd
import pytest

from fusion.explanation.branch_summary import summarize_branches


def table(**changes: object) -> pd.DataFrame:
    gone = [math.nan] * 4
    columns = {
        "probability": [0.9, 0.8, 0.1, 0.2],
        "base": [0.5] * 4,
        "image": [0.3, 0.2, -0.3, -0.2],
        "radiomics": gone,
        "clinical": [0.1, 0.1, -0.1, math.nan],
        "image_radiomics": gone,
        "image_clinical": [0.05, 0.07, -0.06, math.nan],
        "radiomics_clinical": gone,
        "gate_image": [0.4, 0.7, 0.3, 1.0],
        "gate_radiomics": gone,
        "gate_clinical": [0.6, 0.3, 0.7, math.nan],
        "largest_gate": ["clinical", "image", "clinical", "image"],
        "largest_value": ["image"] * 4,
        "agree": ["no", "yes", "no", ""],
    }
    return pd.DataFrame(columns | changes)


def test_of_each_branch() -> None:
    branches = summarize_branches(table())["branches"]
    assert list(branches) == ["image", "clinical"]
    assert branches["image"] == pytest.approx({"n": 4, "mean_absolute": 0.25, "mean_gate": 0.6, "n_largest": 4})
    assert branches["clinical"]["n"] == 3
    assert branches["clinical"]["mean_gate"] == pytest.approx(1.6 / 3)


def test_what_two_branches_say_together_is_counted_towards_the_prediction() -> None:
    pairs = summarize_branches(table())["pairs"]
    assert list(pairs) == ["image_clinical"]
    # The third patient is cleared, and the two push further down together.
    assert pairs["image_clinical"]["n"] == 3
    assert pairs["image_clinical"]["together"] == pytest.approx(0.06)
    assert pairs["image_clinical"]["standard_error"] == pytest.approx(0.01 / math.sqrt(3))
    assert pairs["image_clinical"]["verdict"] == "image and clinical say more together than the sum of each alone"


@pytest.mark.parametrize(
    ("interactions", "words"),
    [([-0.05, -0.07, 0.06, math.nan], "partly repeat each other"), ([0.05, -0.07, -0.06, math.nan], "add up")],
)
def test_the_verdict_on_a_pair(interactions: list[float], words: str) -> None:
    pair = summarize_branches(table(image_clinical=interactions))["pairs"]["image_clinical"]
    assert words in pair["verdict"]


def test_gates_that_point_elsewhere_are_counted_among_those_that_could_agree() -> None:
    gates = summarize_branches(table())["gates"]
    assert (gates["n_compared"], gates["n_disagree"]) == (3, 2)
    assert gates["counts"] == [{"gate": "clinical", "value": "image", "n": 2}]
    assert gates["verdict"] == (
        "In 2 of 3 cases the branch with the largest gate is not the one that moved the prediction most; most often "
        "(2) the gate is on clinical and image moved it."
    )
    agreed = summarize_branches(table(agree=["yes", "yes", "yes", ""]))["gates"]
    assert agreed["n_disagree"] == 0
    assert agreed["verdict"].endswith("moved the prediction most.")


def test_a_head_without_gates_has_none_to_compare() -> None:
    gone = np.full(4, np.nan)
    # As pandas reads a column of which every cell is empty.
    summary = summarize_branches(table(agree=gone, largest_gate=gone, gate_image=gone, gate_clinical=gone))
    assert summary["gates"] is None
    assert summary["branches"]["image"]["mean_gate"] is None
