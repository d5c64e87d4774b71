"""What every format is decoded to, before anything is made of the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Given the number of frames in the file, answers which one is wanted.
PickFrame = Callable[[int], int]


@dataclass(frozen=True, kw_only=True)
class Raster:
    """One decoded frame.

    Attributes:
        values: (H, W), or (H, W, 3) and (H, W, 4) for RGB and RGBA, in the file's own type and scale.
        palette: (n, 3) uint8 where ``values`` are indices of colors, else None.
        lossy: Whether the compression smears edges, so that a mask has values between its own.
    """

    values: NDArray[Any]
    palette: NDArray[np.uint8] | None = None
    lossy: bool = False
