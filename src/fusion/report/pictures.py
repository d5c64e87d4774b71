"""Pictures of a run as part of its page, which has to stay small enough to be mailed."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image

# Of all large pictures together; base64 makes 9.3 MB of it, and a page of 250 patients stays below 15 MB.
_N_BYTES = 7_000_000
# Largest width in px, and quality; the first that keeps to a picture's share of the bytes is taken, or else the last.
_STEPS = ((1000, 80), (1000, 65), (800, 60), (640, 50), (480, 40), (320, 30))


def embed_large(paths: Mapping[str, Path]) -> dict[str, str]:
    """Data URIs of pictures by name, as WebP of a lower quality the more of them there are.

    Args:
        paths: By name.

    Raises:
        OSError: If one is no picture.
    """
    n_bytes = _N_BYTES // max(len(paths), 1)
    return {name: _uri(_compress(path, n_bytes)) for name, path in paths.items()}


def embed_small(paths: Iterable[Path]) -> dict[str, str]:
    """Data URIs of WebP files by their stem, as they are."""
    return {path.stem: _uri(path.read_bytes()) for path in paths}


def _compress(path: Path, n_bytes: int) -> bytes:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    content = b""
    for width, quality in _STEPS:
        size = (min(width, picture.width), max(1, round(picture.height * min(1, width / picture.width))))
        stream = BytesIO()
        # Method 2 of 6: slower ones save a few percent.
        picture.resize(size, Image.Resampling.LANCZOS).save(stream, format="WEBP", quality=quality, method=2)
        content = stream.getvalue()
        if len(content) <= n_bytes:
            break
    return content


def _uri(content: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(content).decode("ascii")
