import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from fusion.audit.lettering import find_words


def tissue(seed: int, sigma: float = 1.0) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(140, 200)), sigma)
    return np.clip(70 + 30 * noise / noise.std(), 0, 255).astype(np.float32)


def written(text: str, place: tuple[int, int], seed: int = 0) -> np.ndarray:
    image = Image.fromarray(tissue(seed).astype(np.uint8))
    ImageDraw.Draw(image).text(place, text, fill=250, font=ImageFont.load_default(14))
    return np.asarray(image).astype(np.float32)


def test_a_word_is_found_where_it_is() -> None:
    (box,) = find_words(written("MAMA", (60, 40)))
    top, left, bottom, right = box
    assert 38 <= top < bottom <= 60
    assert 58 <= left < right <= 115


def test_tissue_has_no_words() -> None:
    assert all(find_words(tissue(seed, sigma)) == () for seed in range(10) for sigma in (0.7, 1.0, 2.0, 4.0))


def test_a_single_letter_is_not_called_text() -> None:
    assert find_words(written("M", (60, 40))) == ()
