"""LabelMe's JSON annotations → a mask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fusion.imaging.problems import decoding, file_problem

_N_POINTS = {"polygon": (3, None), "rectangle": (2, 2), "circle": (2, 2)}


def read_labelme(path: Path, *, label: int | None, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Label values drawn from polygons, rectangles and circles, outlines included.

    The pixels are those of LabelMe's own export (``labelme.utils.shape_to_mask``), so that both ways agree.

    Args:
        path: The JSON file.
        label: Draws only shapes of that label (``"2"`` or ``2``); None draws all of them.
        shape: (H, W) of the mask where the file does not say the image's size.

    Returns:
        (H, W): ``label``, or 1 where it is None, inside the shapes; 0 elsewhere.

    Raises:
        InputError: If the file is no LabelMe file, a shape is of another type, or no shape has the label.
    """
    with decoding(path, required="a readable LabelMe JSON file"):
        content = json.loads(path.read_text(encoding="utf-8"))
        size = (content.get("imageWidth") or shape[1], content.get("imageHeight") or shape[0])
        canvas = Image.new("1", size)
        for drawn in _chosen_shapes(path, content["shapes"], label):
            _draw(path, ImageDraw.Draw(canvas), drawn)
    return np.asarray(canvas).astype(np.int64) * (1 if label is None else label)


def _chosen_shapes(path: Path, shapes: list[Mapping[str, Any]], label: int | None) -> list[Mapping[str, Any]]:
    chosen = [shape for shape in shapes if label is None or str(shape["label"]) == str(label)]
    if not chosen:
        came = ", ".join(sorted({repr(str(shape["label"])) for shape in shapes})) or "no shapes"
        raise file_problem(path, required="a shape" + (f" labeled '{label}'" if label is not None else ""), came=came)
    return chosen


def _draw(path: Path, canvas: ImageDraw.ImageDraw, shape: Mapping[str, Any]) -> None:
    kind = shape.get("shape_type") or "polygon"
    points = [(float(x), float(y)) for x, y in shape["points"]]
    fewest, most = _N_POINTS.get(kind, (len(points) + 1, None))
    if len(points) < fewest or (most is not None and len(points) > most):
        required = "polygons of 3 points or more, rectangles and circles of 2 points"
        raise file_problem(path, required=required, came=f"a {kind} of {len(points)} points")
    if kind == "polygon":
        canvas.polygon(points, fill=1, outline=1)
    elif kind == "rectangle":
        canvas.rectangle(_corners(points), fill=1, outline=1)
    else:
        (x, y), edge = points
        radius = hypot(edge[0] - x, edge[1] - y)
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1, outline=1)


def _corners(points: list[tuple[float, float]]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom: people drag a rectangle in any direction."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
