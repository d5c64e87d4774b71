"""Deletion and insertion: does the network need the places that an explanation names?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.explanation.log_odds import ImageOdds

# Bounds memory; no result depends on it.
_IMAGES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Areas under the curves of deletion and insertion, 0..1: of an explanation, and the mean of random orders.

    A good explanation has a small area of deletion and a large one of insertion.
    """

    deletion: float
    deletion_random: float
    insertion: float
    insertion_random: float


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """Deletion and insertion (Petsiuk, Das & Saenko, BMVC 2018, section 3.2) of one case.

    The image is deleted cell by cell, and a cell that is deleted is as the baseline of the integrated gradients: black,
    without a lesion. Of each image the network gives the probability of the label that it predicts of the whole image,
    as its log-odds have it, before calibration; the other branches stay what they are.

    A random order is the explanation's own, turned, mirrored and shifted at random: the same pixels, as smooth as it
    is, in the wrong place. Cells in any order would be no control. Scattered holes are an attack on a network, which
    does more than to delete the lesion in one piece, and a smooth explanation would lose whatever it shows.

    Attributes:
        odds: Of the case.
        image: (1, C, n_px, n_px).
        cell: Side of a cell, as a share of the crop's.
        n_steps: Into which the cells are divided; each is one image.
    """

    odds: ImageOdds
    image: Tensor
    cell: float
    n_steps: int

    def areas(self, values: NDArray[np.float64], *, n_orders: int, seed: int) -> Areas:
        """Of the order that an explanation gives: what speaks most for the predicted label goes, or comes, first.

        Args:
            values: (n_px, n_px) attribution, in the direction of the positive label.
            n_orders: Random ones.
            seed: Of the random orders, and of ties: where an explanation says nothing, it must not profit from the
                order of reading.
        """
        draw = np.random.default_rng(seed)
        cells = self._cells
        sums = np.bincount(cells.ravel(), weights=values.ravel()) / np.bincount(cells.ravel())
        support = self._sign * sums.reshape(int(np.sqrt(len(sums))), -1)
        grids = [support, *(_displace(support, draw) for _ in range(n_orders))]
        orders = [np.lexsort((draw.permutation(grid.size), -grid.ravel())) for grid in grids]
        deletion = self._areas_under(orders)
        # What an order inserts first, its reverse deletes last.
        insertion = self._areas_under([order[::-1] for order in orders])
        return Areas(
            deletion=deletion[0],
            deletion_random=float(np.mean(deletion[1:])),
            insertion=insertion[0],
            insertion_random=float(np.mean(insertion[1:])),
        )

    @cached_property
    def _cells(self) -> NDArray[np.intp]:
        """(n_px, n_px) number of the cell that each pixel is in, row by row."""
        n_px = self.image.shape[-1]
        index = np.arange(n_px) // max(1, round(self.cell * n_px))
        return np.asarray(index[:, None] * (index[-1] + 1) + index)

    @cached_property
    def _sign(self) -> float:
        with torch.no_grad():
            return 1.0 if float(self.odds(self.image)) > 0 else -1.0

    @cached_property
    def _ends(self) -> NDArray[np.float64]:
        """(2,) probabilities of the whole image, and of nothing."""
        n_px = self.image.shape[-1]
        return self._probabilities(torch.tensor([True, False])[:, None, None].expand(2, n_px, n_px))

    def _areas_under(self, orders: Sequence[NDArray[np.intp]]) -> list[float]:
        """Areas under the deletion curves of orders."""
        n_cells = len(orders[0])
        cells, n_steps = torch.from_numpy(self._cells), min(self.n_steps, n_cells)
        counts = np.round(np.arange(n_steps + 1) / n_steps * n_cells).astype(int)
        # A pixel is there as long as no more cells are deleted than go before its own.
        ranks = [torch.from_numpy(np.argsort(order)) for order in orders]
        kept = torch.stack([rank[cells] >= count for rank in ranks for count in counts[1:-1].tolist()])
        whole, nothing = self._ends
        between = self._probabilities(kept).reshape(len(orders), -1)
        return [float(np.trapezoid([whole, *curve, nothing], counts / n_cells)) for curve in between.tolist()]

    @torch.no_grad()
    def _probabilities(self, kept: Tensor) -> NDArray[np.float64]:
        """(M, n_px, n_px) pixels that are left → (M,) probabilities of the predicted label."""
        odds = torch.cat([self.odds(self.image * part.unsqueeze(1)) for part in kept.split(_IMAGES_AT_ONCE)])
        return np.asarray((self._sign * odds.double()).sigmoid().numpy())


def _displace(grid: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.float64]:
    """The grid turned by quarters, mirrored or not, and shifted; what leaves it at one side comes in at the other."""
    turned = np.rot90(grid, int(draw.integers(4)))
    mirrored = turned.T if draw.integers(2) else turned
    down, right = draw.integers(len(grid), size=2).tolist()
    return np.roll(mirrored, (down, right), axis=(0, 1))
