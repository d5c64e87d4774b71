"""Some training rows of the tabular branches: what an input that is left out is replaced by in an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.training.inputs import Inputs

_TABULAR = ("radiomics", "clinical")
_N_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Background:
    """Tabular inputs of B training cases, as the network takes them.

    Attributes:
        radiomics: (B, F)
        clinical: (B, D)
    """

    radiomics: NDArray[np.float32]
    clinical: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.radiomics)

    @classmethod
    def of(cls, train: Inputs, branches: Sequence[str]) -> Self:
        """At most 50 rows, evenly spaced over the cases that have every tabular branch.

        Only where no case has both, the two parts of a row are of different cases.

        Args:
            train: The fold's training part and nobody else.
            branches: That the network has.
        """
        tabular = [name for name in _TABULAR if name in branches]
        has = train.present_in(tabular)
        complete = np.flatnonzero(has.all(axis=1))
        rows = {
            name: complete if len(complete) else np.flatnonzero(of_branch)
            for name, of_branch in zip(tabular, has.T, strict=True)
        }
        n_rows = min([_N_ROWS, *map(len, rows.values())]) if rows else 0
        picks = {name: _evenly(rows.get(name, complete), n_rows) for name in _TABULAR}
        return cls(radiomics=train.radiomics[picks["radiomics"]], clinical=train.clinical[picks["clinical"]])

    def state(self) -> dict[str, Any]:
        """Tensors for a checkpoint."""
        return {name: torch.from_numpy(getattr(self, name)) for name in _TABULAR}

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | None) -> Self:
        """The background that gave ``state``; None is that of a checkpoint from before there was any: it has no row."""
        if state is None:
            nothing = np.zeros((0, 0), dtype=np.float32)
            return cls(radiomics=nothing, clinical=nothing)
        return cls(**{name: state[name].numpy() for name in _TABULAR})


def _evenly(rows: NDArray[np.intp], n_rows: int) -> NDArray[np.intp]:
    return rows[np.linspace(0, len(rows) - 1, n_rows).astype(np.intp)]
