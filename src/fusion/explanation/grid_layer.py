"""The layer of any backbone that still knows where things are: the one that Grad-CAM looks at."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fusion.errors import FusionError
from fusion.models.backbones import Backbone


@dataclass(frozen=True, kw_only=True)
class GridLayer:
    """A layer of a backbone's trunk, and how to read its output as a square grid.

    Attributes:
        name: Among the trunk's modules.
        layout: Of the output: (B, d, side, side), (B, side, side, d), or (B, n_prefix + side * side, d).
        side: Of the grid, at least 2.
        n_prefix: Tokens that stand for no place: class token, registers.
        d_channels: Values a place.
    """

    name: str
    layout: Literal["channels first", "channels last", "tokens"]
    side: int
    n_prefix: int
    d_channels: int

    def split(self, output: Tensor) -> Tensor:
        """The layer's output → (B, d_channels, side, side)."""
        if self.layout == "tokens":
            return torch.unflatten(output[:, self.n_prefix :].transpose(1, 2), 2, (self.side, self.side))
        return output if self.layout == "channels first" else output.permute(0, 3, 1, 2)

    def join(self, grid: Tensor, output: Tensor) -> Tensor:
        """``split``'s inverse: the output with the grid in its place."""
        if self.layout == "tokens":
            return torch.cat([output[:, : self.n_prefix], grid.flatten(2).transpose(1, 2)], dim=1)
        return grid if self.layout == "channels first" else grid.permute(0, 2, 3, 1)


def find_grid_layer(backbone: Backbone, *, n_channels: int, n_px: int) -> GridLayer:
    """The last layer whose output is a grid larger than 1 x 1 that the embedding depends on.

    It is found by running the trunk, not by its name. In a convolutional network it is the last one before pooling.
    Where a class token is read out, the other tokens of the last layers lead nowhere, and a map of their gradients
    would be zero: there it is the input of the last attention. Of tokens, only those of the width that most layers have
    are taken, which leaves out the inner parts of an attention.

    Args:
        backbone: In evaluation mode, none of its layers working in place.
        n_channels, n_px: Of its input.

    Raises:
        FusionError: If no layer has a grid, naming the last outputs' shapes.
    """
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(1, n_channels, n_px, n_px, generator=draw).requires_grad_()
    embedding, outputs = _run(backbone, image)
    n_prefix = int(getattr(backbone.trunk, "num_prefix_tokens", 0))
    layers = [(_read(name, output, n_prefix), output) for name, output in outputs]
    grids = [(layer, output) for layer, output in layers if layer is not None]
    # Any direction does but the sum, which a layer norm holds constant.
    direction = torch.randn(embedding.shape, generator=draw)
    gradients = torch.autograd.grad(
        (embedding * direction).sum(), [output for _, output in grids] or [image], allow_unused=True
    )
    widths = Counter(layer.d_channels for layer, _ in grids if layer.layout == "tokens")
    for (layer, _), gradient in zip(reversed(grids), reversed(gradients), strict=False):
        is_inner = layer.layout == "tokens" and layer.d_channels != widths.most_common(1)[0][0]
        if not is_inner and gradient is not None and layer.split(gradient).any():
            return layer
    shapes = ", ".join(f"{name} {tuple(output.shape)}" for name, output in outputs[-5:])
    raise FusionError(
        f"Grad-CAM: required a layer of the backbone whose output is a grid larger than 1 x 1 for {n_px} px input, "
        f"came none; the last outputs: {shapes}. Enlarge imaging.n_px, or take grad_cam out of explain.pixels.methods"
    )


def _run(backbone: Backbone, image: Tensor) -> tuple[Tensor, list[tuple[str, Tensor]]]:
    """The embedding, and the outputs of the trunk's layers in the order in which they ended, of those that ran once."""
    outputs: list[tuple[str, Tensor]] = []

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                outputs.append((name, output))

        return hook

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in backbone.trunk.named_modules() if name]
    try:
        embedding: Tensor = backbone(image)
    finally:
        for hook in hooks:
            hook.remove()
    runs = Counter(name for name, _ in outputs)
    return embedding, [(name, output) for name, output in outputs if runs[name] == 1]


def _read(name: str, output: Tensor, n_prefix: int) -> GridLayer | None:
    """How a layer's output is a grid, if it is; the input is one square image, so a grid is square, too."""
    shape = tuple(output.shape)
    if shape[0] != 1:
        return None
    if len(shape) == 4 and shape[2] == shape[3] > 1:
        return GridLayer(name=name, layout="channels first", side=shape[2], n_prefix=0, d_channels=shape[1])
    if len(shape) == 4 and shape[1] == shape[2] > 1:
        return GridLayer(name=name, layout="channels last", side=shape[1], n_prefix=0, d_channels=shape[3])
    side = math.isqrt(max(shape[1] - n_prefix, 0)) if len(shape) == 3 else 0
    if side > 1 and side * side == shape[1] - n_prefix:
        return GridLayer(name=name, layout="tokens", side=side, n_prefix=n_prefix, d_channels=shape[2])
    return None
