"""Shapley values and interactions of a game of which every coalition was played."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def coalitions(n_players: int) -> NDArray[np.bool_]:
    """(2^n, n) who is in each coalition: player k is where bit k of the row's number is set."""
    members: NDArray[np.bool_] = (np.arange(2**n_players)[:, None] >> np.arange(n_players)) & 1 == 1
    return members


def shapley_values(outputs: Floats) -> Floats:
    """Shapley values: each player's mean contribution over all orders of joining.

    Shapley, Contributions to the Theory of Games II, 1953; as in Lundberg & Lee, NeurIPS 2017, eq. 8. They sum to the
    output of all players less that of none.

    Args:
        outputs: (N, 2^n) of N games, in the order of ``coalitions``.

    Returns:
        (N, n) in the unit of the outputs.
    """
    codes, n_players = _players(outputs)
    values = np.zeros((len(outputs), n_players))
    for player in range(n_players):
        without = codes[codes >> player & 1 == 0]
        sizes = [int(code).bit_count() for code in without]
        weights = np.array([1 / (n_players * math.comb(n_players - 1, size)) for size in sizes])
        values[:, player] = (outputs[:, without | 1 << player] - outputs[:, without]) @ weights
    return values


def interaction(outputs: Floats, first: int, second: int) -> Floats:
    """Shapley interaction index of two players (Grabisch & Roubens, Int J Game Theory 1999;28:547-565).

    The mean, over all orders in which the pair joins at once, of what the pair brings less what each of the two brings
    alone: above 0 where the pair is worth more than its members, 0 where they add up.

    Args:
        outputs: (N, 2^n) of N games, in the order of ``coalitions``; n is 2 or more.
        first, second: Numbers of the players.

    Returns:
        (N,) in the unit of the outputs.
    """
    codes, n_players = _players(outputs)
    one, other = 1 << first, 1 << second
    without = codes[codes & (one | other) == 0]
    sizes = [int(code).bit_count() for code in without]
    weights = np.array([1 / ((n_players - 1) * math.comb(n_players - 2, size)) for size in sizes])
    alone = outputs[:, without | one] + outputs[:, without | other]
    index: Floats = (outputs[:, without | one | other] - alone + outputs[:, without]) @ weights
    return index


def _players(outputs: Floats) -> tuple[NDArray[np.intp], int]:
    n_coalitions = outputs.shape[1]
    n_players = n_coalitions.bit_length() - 1
    if n_coalitions != 2**n_players:
        raise ValueError(f"required the outputs of all 2^n coalitions, came {n_coalitions}")
    return np.arange(n_coalitions), n_players
