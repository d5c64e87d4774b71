import itertools

import numpy as np
import pytest

from fusion.explanation.coalitions import coalitions, interaction, shapley_values


def by_orders(outputs: np.ndarray) -> np.ndarray:
    """Mean contributions of one game's players over all orders of joining."""
    n_players = len(outputs).bit_length() - 1
    orders = list(itertools.permutations(range(n_players)))
    values = np.zeros(n_players)
    for order in orders:
        code = 0
        for player in order:
            values[player] += (outputs[code | 1 << player] - outputs[code]) / len(orders)
            code |= 1 << player
    return values


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def test_the_members_of_a_coalition_are_the_bits_of_its_number() -> None:
    assert coalitions(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]
    assert coalitions(3)[6].tolist() == [False, True, True]


def test_of_the_glove_game() -> None:
    # Players 0 and 1 have a left glove each, player 2 has a right one; a pair is worth 1.
    members = coalitions(3)
    worth = ((members[:, 0] | members[:, 1]) & members[:, 2]).astype(float)[None]
    assert shapley_values(worth)[0] == pytest.approx([1 / 6, 1 / 6, 2 / 3])
    # Two left gloves repeat each other where there is a right one: half of the orders. A left and a right one make a
    # pair where there is no other left one: the other half.
    assert interaction(worth, 0, 1) == pytest.approx([-0.5])
    assert interaction(worth, 0, 2) == pytest.approx([0.5])


@pytest.mark.parametrize("n_players", [1, 2, 3, 5])
def test_values_are_means_over_all_orders_and_sum_to_the_whole(n_players: int) -> None:
    outputs = draw(3, 2**n_players)
    values = shapley_values(outputs)
    assert values == pytest.approx(np.stack([by_orders(game) for game in outputs]))
    assert values.sum(axis=1) == pytest.approx(outputs[:, -1] - outputs[:, 0])


def test_the_interaction_is_the_value_of_the_pair_less_those_of_its_members_without_each_other() -> None:
    # Grabisch & Roubens' recursion, with [12] for the pair as one player: the value of [12] in the game of [12] and 3,
    # less that of 1 in the game of 1 and 3, less that of 2 in the game of 2 and 3.
    (game,) = draw(1, 8)
    pair = by_orders(game[[0, 3, 4, 7]])[0]
    first, second = by_orders(game[[0, 1, 4, 5]])[0], by_orders(game[[0, 2, 4, 6]])[0]
    assert interaction(game[None], 0, 1) == pytest.approx([pair - first - second])
    assert interaction(game[None], 1, 0) == pytest.approx([pair - first - second])


def test_a_player_who_adds_nothing_changes_no_other_value_and_no_interaction() -> None:
    (game,) = draw(1, 4)
    with_idler = np.concatenate([game, game])[None]
    assert shapley_values(with_idler)[0] == pytest.approx([*by_orders(game), 0.0])
    assert interaction(with_idler, 0, 1) == pytest.approx([game[3] - game[1] - game[2] + game[0]])
    assert interaction(with_idler, 0, 2) == pytest.approx([0.0])


def test_coalitions_that_are_missing_are_refused() -> None:
    with pytest.raises(ValueError, match="all 2\\^n coalitions, came 6"):
        shapley_values(np.zeros((1, 6)))
