from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fusion.explanation.grad_cam import grad_cam
from fusion.explanation.grid_layer import GridLayer
from fusion.explanation.log_odds import ImageOdds
from fusion.explanation.occlusion import occlusion

LAYOUTS = [("channels first", 0), ("channels last", 0), ("tokens", 3)]


class Reading(nn.Module):
    """Averages cells of an image, weighs the two channels, and holds them in some layout for a while."""

    def __init__(self, layout: str, n_prefix: int) -> None:
        super().__init__()
        self.layout, self.n_prefix = layout, n_prefix
        self.pool = nn.AvgPool2d(8)
        self.seen = nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        grid = self.pool(image)
        if self.layout == "channels first":
            return self.seen(grid).mean((2, 3))
        if self.layout == "channels last":
            return self.seen(grid.permute(0, 2, 3, 1)).mean((1, 2))
        tokens = grid.flatten(2).transpose(1, 2)
        prefix = tokens.new_full((len(tokens), self.n_prefix, 2), 7.0)
        return self.seen(torch.cat([prefix, tokens], dim=1))[:, self.n_prefix :].mean(1)


class Net(nn.Module):
    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        image = nn.Module()
        image.backbone = nn.Module()
        image.backbone.trunk = trunk
        self.branches = nn.ModuleDict({"image": image})

    def forward(self, image: Tensor, radiomics: Tensor, clinical: Tensor, present: Tensor) -> Tensor:
        read = self.branches["image"].backbone.trunk(image)
        return torch.stack([torch.zeros(len(image)), 3 * read[:, 0] - 2 * read[:, 1]], dim=1)


def odds_of(example: Any, trunk: nn.Module) -> ImageOdds:
    model = replace(example.model, network=Net(trunk), prior_shift=(0.0, 0.0))
    nothing = torch.zeros(1, 0)
    return ImageOdds(model=model, radiomics=nothing, clinical=nothing, present=torch.tensor([[True, False, False]]))


@pytest.mark.parametrize(("layout", "n_prefix"), LAYOUTS)
def test_it_is_the_mean_gradient_times_the_activation_in_any_layout(
    layout: Any, n_prefix: int, make_example: Callable[..., Any]
) -> None:
    odds = odds_of(make_example(branches=("image",)), Reading(layout, n_prefix))
    image = torch.rand(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    image[0, 0, :16] = 0
    layer = GridLayer(name="seen", layout=layout, side=4, n_prefix=n_prefix, d_channels=2)
    values = grad_cam(odds, image, layer=layer)
    grid = nn.functional.avg_pool2d(image, 8)
    # The gradient of the log-odds is 3 / 16 and -2 / 16 everywhere.
    coarse = (3 * grid[:, :1] - 2 * grid[:, 1:]) / 16
    expected = nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")[0, 0].double().numpy()
    np.testing.assert_allclose(values, expected, atol=1e-6)
    assert values.min() < 0 < values.max()


def test_of_a_linear_network_occlusion_is_what_the_windows_add(make_example: Callable[..., Any]) -> None:
    odds = odds_of(make_example(branches=("image",)), Reading("channels first", 0))
    image = torch.rand(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    parts = (3 * image[0, 0] - 2 * image[0, 1]).double().numpy() / 1024
    alone = occlusion(odds, image, window=0.25, stride=0.25)
    sums = parts.reshape(4, 8, 4, 8).sum((1, 3))
    np.testing.assert_allclose(alone, np.kron(sums, np.ones((8, 8))), atol=1e-6)
    assert float(alone[::8, ::8].sum()) == pytest.approx(float(odds(image)), abs=1e-5)
    # Where windows overlap, a pixel has their mean: the corner is covered by one, its right neighbor window by two.
    half = occlusion(odds, image, window=0.25, stride=0.125)
    np.testing.assert_allclose(half[0, 0], parts[:8, :8].sum(), atol=1e-6)
    np.testing.assert_allclose(half[0, 4], (parts[:8, :8].sum() + parts[:8, 4:12].sum()) / 2, atol=1e-6)
