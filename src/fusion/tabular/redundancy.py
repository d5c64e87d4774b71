"""Of columns that nearly repeat each other, one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def keep_apart(close: NDArray[np.bool_], order: Iterable[int]) -> NDArray[np.intp]:
    """Columns (ascending) of which no two are close, chosen greedily.

    Args:
        close: (F, F) whether two columns are too close to each other; symmetric.
        order: One column after the other stays unless one that stays already is close to it.
    """
    dropped = np.zeros(len(close), dtype=np.bool_)
    kept: list[int] = []
    for column in order:
        if not dropped[column]:
            kept.append(column)
            dropped |= close[:, column]
    return np.sort(np.array(kept, dtype=np.intp))
