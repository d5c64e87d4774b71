from typing import Any

import pytest

from fusion.runs.model import BLOCKS, branches_heard, branches_taken, is_classical

NETWORK = {"name": "fusion", "branches": ["image", "clinical"]}
COMPOSITE = {"name": "composite", "inputs": {"clinical": "features", "radiomics": "score", "deep": "score"}}
COMBINED = {"name": "combined", "inputs": {"ultrasound": "features", "radiomics": "features", "deep": "features"}}


def test_a_model_of_stages_is_classical_and_one_of_branches_a_network() -> None:
    assert [is_classical(model) for model in (NETWORK, COMPOSITE, COMBINED)] == [False, True, True]


@pytest.mark.parametrize(
    ("model", "branches"),
    [
        (NETWORK, {"image", "clinical"}),
        (COMPOSITE, {"clinical", "radiomics", "image"}),
        (COMBINED, {"clinical", "radiomics", "image"}),
        ({"inputs": {"ultrasound": "features"}}, {"clinical"}),
        ({"inputs": {"deep": "score"}}, {"image"}),
    ],
)
def test_what_a_model_learns_from(model: dict[str, Any], branches: set[str]) -> None:
    assert branches_taken(model) == branches


def test_a_branch_of_the_network_and_a_score_are_heard_alone() -> None:
    assert branches_heard(NETWORK) == ["image", "clinical"]
    assert branches_heard(COMPOSITE) == ["radiomics", "deep"]
    assert branches_heard(COMBINED) == []


def test_every_block_can_be_asked_for() -> None:
    assert branches_taken({"inputs": dict.fromkeys(BLOCKS, "score")}) == {"image", "radiomics", "clinical"}
