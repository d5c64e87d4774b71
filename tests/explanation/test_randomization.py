from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from fusion.explanation.randomization import randomized, similarity


def test_a_randomized_network_has_nothing_of_the_model_and_repeats_by_its_seed(
    make_example: Callable[..., Any],
) -> None:
    model = make_example().model
    before = torch.get_rng_state()
    first, again, other = (randomized(model, seed=seed).network.state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    drawn = [name for name, value in model.network.state_dict().items() if value.ndim > 1 and value.std() > 0]
    # The mean and deviation of the backbone's input are no parameters.
    drawn = [name for name in drawn if not name.endswith((".mean", ".std"))]
    assert drawn
    for name in drawn:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name]), name
        assert not torch.equal(first[name], model.network.state_dict()[name]), name


def test_similarity_is_the_rank_correlation_of_strengths() -> None:
    values = np.array([[0.0, 1.0], [-2.0, 3.0]])
    assert similarity(values, -10 * values) == pytest.approx(1)
    assert similarity(values, 1 / (1 + np.abs(values))) == pytest.approx(-1)
    # Ranks 0, 1, 2, 3 against 0, 2, 1, 3: 1 - 6 x 2 / (4 x 15).
    assert similarity(values, np.array([[0.0, 5.0], [4.0, 9.0]])) == pytest.approx(0.8)


def test_what_is_the_same_everywhere_is_similar_to_nothing() -> None:
    values = np.array([[0.0, 1.0]])
    assert similarity(values, np.zeros((1, 2))) == 0
    assert np.isnan(similarity(np.ones((1, 2)), values))
