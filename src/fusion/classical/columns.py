"""How a block enters the final stage: as its columns, or as one score of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.classical.blocks import Block, block_from_state
from fusion.classical.rows import Sources
from fusion.classical.selected import Selected
from fusion.records import Case


@dataclass(frozen=True, kw_only=True)
class Features:
    """The columns of a block.

    Attributes:
        block: Fitted.
    """

    block: Block

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return self.block.names

    def transform(self, cases: Sequence[Case], sources: Sources) -> NDArray[np.float64]:
        """(N, F) columns; a row of NaN where the case has nothing of the block."""
        return self.block.transform(cases, sources)

    def state(self) -> dict[str, Any]:
        """Plain containers and tensors."""
        return {"enters": "features", "block": self.block.state()}

    @classmethod
    def from_state(cls, name: str, state: Mapping[str, Any]) -> Self:
        """What gave ``state``."""
        return cls(block=block_from_state(name, state["block"]))


@dataclass(frozen=True, kw_only=True)
class Score:
    """The linear predictor of a block's own filters and LASSO.

    Attributes:
        name: Of its column, e.g. ``radiomics score``.
        block: Fitted.
        selected: On the block's columns.
    """

    name: str
    block: Block
    selected: Selected

    @property
    def names(self) -> tuple[str, ...]:
        """Of its one column."""
        return (self.name,)

    def transform(self, cases: Sequence[Case], sources: Sources) -> NDArray[np.float64]:
        """(N, 1) logits; NaN where the case has nothing of the block."""
        rows = self.block.transform(cases, sources)
        known = ~np.isnan(rows).any(axis=1)
        scores = np.full((len(rows), 1), np.nan)
        scores[known, 0] = self.selected.linear_predictor(rows[known])
        return scores

    def state(self) -> dict[str, Any]:
        """Plain containers and tensors."""
        return {
            "enters": "score",
            "name": self.name,
            "block": self.block.state(),
            "selected": self.selected.state(),
        }

    @classmethod
    def from_state(cls, name: str, state: Mapping[str, Any]) -> Self:
        """What gave ``state``."""
        return cls(
            name=state["name"],
            block=block_from_state(name, state["block"]),
            selected=Selected.from_state(state["selected"]),
        )


Columns = Features | Score


def columns_from_state(name: str, state: Mapping[str, Any]) -> Columns:
    """What gave ``state``."""
    return (Score if state["enters"] == "score" else Features).from_state(name, state)
