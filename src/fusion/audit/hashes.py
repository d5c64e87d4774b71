"""Perceptual hashes of images, and the pairs of images that are nearly the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

N_BITS = 256
_HASH_SIDE = 16
# imagehash.phash shrinks to four times the hash; done here once for an image and its mirror image.
_SMALL_SIDE = 4 * _HASH_SIDE
_N_ROWS = 256
NO_HASH: NDArray[np.uint64] = np.zeros(N_BITS // 64, dtype=np.uint64)


def hashes(pixels: NDArray[np.float32]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The 256-bit perceptual hash (pHash, by the library imagehash) of an image, and of its mirror image.

    It is the sign of the 16 x 16 lowest frequencies against their median, so that another size, brightness, contrast
    or compression changes few bits and another image about half of them.

    Args:
        pixels: (H, W) in [0, 255].

    Returns:
        Two arrays of (4,) uint64; ``NO_HASH`` for an image of one value.
    """
    import imagehash

    if pixels.min() == pixels.max():
        return NO_HASH, NO_HASH
    small = Image.fromarray(pixels.astype(np.uint8)).resize((_SMALL_SIDE, _SMALL_SIDE), Image.Resampling.LANCZOS)
    found = [imagehash.phash(image, hash_size=_HASH_SIDE).hash for image in (small, ImageOps.mirror(small))]
    upright, mirrored = (np.packbits(bits).view(np.uint64) for bits in found)
    return upright, mirrored


def near_pairs(
    first: Sequence[NDArray[np.uint64]], second: Sequence[NDArray[np.uint64]], *, max_distance: int
) -> dict[tuple[int, int], int]:
    """Pairs (i, j) with i < j of which ``first[i]`` and ``second[j]`` differ in at most so many bits.

    All pairs are compared, in blocks; 10,000 images take seconds. An image without a hash has no pair.

    Returns:
        The number of differing bits by pair.
    """
    if not first:
        return {}
    rows, columns = np.stack(first), np.stack(second)
    found: dict[tuple[int, int], int] = {}
    for start in range(0, len(rows), _N_ROWS):
        block = rows[start : start + _N_ROWS]
        distances = sum(np.bitwise_count(block[:, None, k] ^ columns[None, :, k]).astype(np.int16) for k in range(4))
        for i, j in np.argwhere(np.asarray(distances) <= max_distance).tolist():
            if start + i < j and block[i].any() and columns[j].any():
                found[start + i, j] = int(np.asarray(distances)[i, j])
    return found
