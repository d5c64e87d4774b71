"""Every file of conf/backbone, with random weights, can be explained by every method."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from fusion.explanation.grad_cam import grad_cam
from fusion.explanation.grid_layer import find_grid_layer
from fusion.explanation.integrated_gradients import explain_within
from fusion.explanation.log_odds import ImageOdds, without_inplace
from fusion.imaging.store import Crops
from fusion.training.fitted import network_for
from fusion.training.inputs import make_loader

CONF = Path(__file__).parents[2] / "conf/backbone"
N_PX = 64
LAYERS = {
    "convnext_tiny": ("norm_pre", 2),
    "densenet121": ("features", 2),
    "efficientnet_b0": ("bn2", 2),
    # After the activation: it works in place, and changes what was looked at before it.
    "monai_densenet121": ("class_layers.relu", 2),
    "resnet18": ("layer4", 2),
    "resnet50": ("layer4", 2),
    "tiny": ("layer4", 2),
    # The class token is read out: the other tokens of the last block lead nowhere.
    "vit_small": ("blocks.11.norm1", 4),
}


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_it_has_a_grid_and_its_sums_are_complete(path: Path, make_example: Callable[..., Any]) -> None:
    example = make_example(branches=("image",))
    config = OmegaConf.create({"imaging": {"n_px": N_PX, "channels": "image_mask"}, "backbone": OmegaConf.load(path)})
    settings: Any = OmegaConf.to_container(config, resolve=True)
    model = replace(example.model, settings={**example.model.settings, **settings})
    torch.manual_seed(0)
    network = network_for(model.settings, model.encoder, model.scaler, 2, pretrained=False).eval()
    model = without_inplace(replace(model, network=network))
    backbone: Any = model.network.branches["image"].backbone
    layer = find_grid_layer(backbone, n_channels=2, n_px=N_PX)
    assert (layer.name, layer.side) == LAYERS[path.stem]

    # A quarter of the pixels is enough for those that take any size.
    n_px = N_PX if path.stem == "vit_small" else N_PX // 2
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, n_px, n_px), dtype=np.uint8)
    crops = Crops(case_ids=("case 0",), array=pixels, key="crops")
    inputs = model.assemble(example.cases[:1], crops=crops, features=example.features)
    # What an untaught network says of an image is close to what it says of none, so the floor counts here.
    fast: Any = OmegaConf.to_container(OmegaConf.load(CONF.parent / "explain/fast.yaml").pixels)
    most, floor, bar = fast["most_steps"], fast["smallest_difference"], fast["bars"]["completeness_error"]
    found = explain_within(model, inputs, n_steps=8, most_steps=most, tolerance=bar, smallest_difference=floor)
    assert bar == 0.01
    assert found.relative_errors(smallest_difference=floor)[0] <= bar

    loader = make_loader(inputs, weights=np.ones(1, dtype=np.float32), batch_size=1, shuffle=False)
    odds, image = ImageOdds.of(model, next(iter(loader)))
    small = find_grid_layer(backbone, n_channels=2, n_px=n_px)
    values = grad_cam(odds, image, layer=small)
    assert values.shape == (n_px, n_px)
    assert np.ptp(values) > 0
