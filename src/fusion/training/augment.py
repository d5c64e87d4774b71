"""Augmentation of a batch of crops, on its device. Depth is physics: nothing is flipped up-down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fusion.models.share import draw_rows


def augment(crops: Tensor, *, augmentation: Mapping[str, Any]) -> Tensor:
    """Move, flip and disturb crops at random, each its own way, whichever share of a batch they are.

    Args:
        crops: (B, 2, H, W) in [0, 1], image and mask.
        augmentation: ``rotate_deg``, ``scale``, ``shift`` (parts of the side),
            ``flip`` (probability), ``gain``, ``contrast``, ``gamma`` (half-widths), ``speckle`` (standard deviation).

    Returns:
        (B, 2, H, W) in [0, 1]; the mask follows the image's moves and nothing else.
    """
    moved = _move(crops, augmentation)
    image, mask = moved[:, :1], moved[:, 1:]
    return torch.cat([_disturb(image, augmentation), mask], dim=1)


def _move(crops: Tensor, augmentation: Mapping[str, Any]) -> Tensor:
    angle = _uniform(crops, math.radians(augmentation["rotate_deg"]))
    scale = torch.exp(_uniform(crops, augmentation["scale"]))
    flip = torch.where(_draw(crops) < augmentation["flip"], -1.0, 1.0)
    # affine_grid counts the side from -1 to 1.
    shift_x, shift_y = _uniform(crops, 2 * augmentation["shift"]), _uniform(crops, 2 * augmentation["shift"])
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack([torch.stack([cos * flip, -sin, shift_x], 1), torch.stack([sin * flip, cos, shift_y], 1)], 1)
    # A device may have no row of a batch, and draws all the same.
    if not len(crops):
        return crops
    grid = functional.affine_grid(matrix, list(crops.shape), align_corners=False)
    moved: Tensor = functional.grid_sample(crops, grid, padding_mode="reflection", align_corners=False)
    return moved


def _disturb(image: Tensor, augmentation: Mapping[str, Any]) -> Tensor:
    def column(half_width: float) -> Tensor:
        return _uniform(image, half_width).view(-1, 1, 1, 1)

    image = image.clamp(min=0) ** torch.exp(column(augmentation["gamma"]))
    image = (image - 0.5) * (1 + column(augmentation["contrast"])) + 0.5 + column(augmentation["gain"])
    # Speckle is multiplicative before log compression, so it is weaker where the image is dark.
    speckle = draw_rows(lambda n_rows: _normal(image, n_rows), len(image)) * augmentation["speckle"]
    disturbed: Tensor = (image * (1 + speckle)).clamp(0, 1)
    return disturbed


def _uniform(crops: Tensor, half_width: float) -> Tensor:
    return (2 * _draw(crops) - 1) * half_width


def _normal(image: Tensor, n_rows: int) -> Tensor:
    return torch.randn((n_rows, *image.shape[1:]), dtype=image.dtype, device=image.device)


def _draw(crops: Tensor) -> Tensor:
    return draw_rows(lambda n_rows: torch.rand(n_rows, device=crops.device), len(crops))
