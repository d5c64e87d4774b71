import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusion.report import pictures
from fusion.report.pictures import embed_large, embed_small


def noise(path: Path, width: int = 600) -> Path:
    """What compresses worst."""
    pixels = np.random.default_rng(0).integers(0, 255, (width // 3, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def read(uri: str) -> tuple[Image.Image, int]:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/webp;base64"
    decoded = base64.b64decode(content)
    return Image.open(BytesIO(decoded)), len(decoded)


def test_few_pictures_keep_their_size_and_many_share_the_bytes(tmp_path: Path, monkeypatch) -> None:
    path = noise(tmp_path / "a.png")
    (alone,) = embed_large({"a": path}).values()
    assert read(alone)[0].size == (600, 200)
    monkeypatch.setattr(pictures, "_N_BYTES", 40_000)
    many = embed_large({"a": path, "b": path})
    assert [*many] == ["a", "b"]
    picture, n_bytes = read(many["a"])
    assert n_bytes <= 20_000
    assert picture.width < 600
    assert picture.width / picture.height == pytest.approx(3, rel=0.02)


def test_small_ones_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "7%2F1.webp"
    Image.new("RGB", (8, 8)).save(path)
    assert [*embed_small([path])] == ["7%2F1"]
    assert read(embed_small([path])["7%2F1"])[1] == path.stat().st_size
