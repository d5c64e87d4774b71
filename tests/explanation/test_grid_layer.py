from typing import Any

import pytest
import torch
from torch import nn

from fusion.errors import FusionError
from fusion.explanation.grid_layer import GridLayer, find_grid_layer
from fusion.models.backbones import Backbone, build_backbone

N_PX = 64


def still(backbone: Backbone) -> Backbone:
    for layer in backbone.modules():
        if getattr(layer, "inplace", False) is True:
            layer.inplace = False  # type: ignore[assignment]
    return backbone.eval()


def timm_backbone(name: str, **options: Any) -> Backbone:
    settings = {"library": "timm", "name": name, "weights": "none", "options": options}
    return still(build_backbone(backbone=settings, n_channels=2, n_px=N_PX, pretrained=False))


def find(backbone: Backbone) -> GridLayer:
    return find_grid_layer(backbone, n_channels=2, n_px=N_PX)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("test_mambaout", {}, ("stages", "channels last", 2, 0)),
        ("test_vit", {"img_size": N_PX}, ("blocks.5.norm1", "tokens", 4, 1)),
        # Tokens are averaged, so that those of the last layer count.
        ("test_vit4", {"img_size": N_PX}, ("norm", "tokens", 4, 1)),
        # An attention pools the tokens; its keys and values are wider than they.
        ("test_vit3", {"img_size": N_PX}, ("norm", "tokens", 4, 1)),
        ("deit_tiny_distilled_patch16_224", {"img_size": N_PX}, ("blocks.11.norm1", "tokens", 4, 2)),
    ],
)
def test_other_layouts(name: str, options: dict[str, Any], expected: tuple[Any, ...]) -> None:
    layer = find(timm_backbone(name, **options))
    assert (layer.name, layer.layout, layer.side, layer.n_prefix) == expected


def test_a_grid_of_one_place_is_passed_over() -> None:
    backbone = timm_backbone("test_resnet")
    layer = find_grid_layer(backbone, n_channels=2, n_px=16)
    assert (layer.name, layer.side) == ("layer2", 2)


@pytest.mark.parametrize(
    ("layout", "shape", "n_prefix"),
    [("channels first", (2, 5, 3, 3), 0), ("channels last", (2, 3, 3, 5), 0), ("tokens", (2, 11, 5), 2)],
)
def test_an_output_is_taken_apart_and_put_together_again(layout: Any, shape: tuple[int, ...], n_prefix: int) -> None:
    layer = GridLayer(name="layer", layout=layout, side=3, n_prefix=n_prefix, d_channels=5)
    output = torch.arange(float(torch.tensor(shape).prod())).reshape(shape)
    grid = layer.split(output)
    assert grid.shape == (2, 5, 3, 3)
    assert torch.equal(layer.join(grid, output), output)
    # Places run with the rows of the image.
    second = {"channels first": (0, slice(None), 0, 1), "channels last": (0, 0, 1), "tokens": (0, n_prefix + 1)}[layout]
    assert torch.equal(grid[0, :, 0, 1], output[second])


def test_a_backbone_without_a_grid_is_refused_with_what_it_has() -> None:
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(2 * N_PX * N_PX, 3))
    flat = Backbone(trunk=trunk, mean=(0.0, 0.0), std=(1.0, 1.0), n_px=N_PX).eval()
    with pytest.raises(FusionError, match=r"required a layer .* larger than 1 x 1 .* the last outputs: .*1 \(1, 3\)"):
        find(flat)
