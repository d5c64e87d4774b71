import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from fusion.audit.hashes import NO_HASH, hashes, near_pairs


def tissue(seed: int, side: int = 128) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 3.0)
    return np.clip(100 + 40 * noise / noise.std(), 0, 255).astype(np.float32)


def distance(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.bitwise_count(hashes(first)[0] ^ hashes(second)[0]).sum())


def jpeg(pixels: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "JPEG", quality=30)
    return np.asarray(Image.open(stream)).astype(np.float32)


def half(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels.astype(np.uint8)).resize((64, 64))).astype(np.float32)


@pytest.mark.parametrize("change", [jpeg, half, lambda pixels: 0.6 * pixels + 20])
def test_the_same_picture_saved_otherwise_has_nearly_the_same_hash(change: object) -> None:
    assert callable(change)
    assert distance(tissue(1), change(tissue(1))) <= 24


def test_other_pictures_differ_in_half_of_the_bits() -> None:
    assert 90 <= np.median([distance(tissue(0), tissue(seed)) for seed in range(1, 12)]) <= 166


def test_the_hash_of_the_mirror_image() -> None:
    upright, mirrored = hashes(tissue(3))
    assert np.array_equal(hashes(tissue(3)[:, ::-1])[0], mirrored)
    assert not np.array_equal(upright, mirrored)


def test_an_image_of_one_value_has_no_hash_and_no_pair() -> None:
    blank = hashes(np.full((20, 20), 7, dtype=np.float32))[0]
    assert np.array_equal(blank, NO_HASH)
    assert near_pairs([blank, blank], [blank, blank], max_distance=256) == {}


def test_near_pairs_are_those_of_a_plain_comparison() -> None:
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 1 << 63, 4, dtype=np.uint64) for _ in range(300)]
    found[299] = found[2] ^ np.array([7, 0, 0, 1 << 62], dtype=np.uint64)
    plain = {
        (i, j): distance
        for i in range(300)
        for j in range(i + 1, 300)
        if (distance := sum(int(a ^ b).bit_count() for a, b in zip(found[i], found[j], strict=True))) <= 105
    }
    assert near_pairs(found, found, max_distance=105) == plain
    assert plain[2, 299] == 4
    assert near_pairs([], [], max_distance=9) == {}
