"""Grad-CAM of one case: which places of the last grid moved the log-odds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fusion.explanation.grid_layer import GridLayer
from fusion.explanation.log_odds import ImageOdds


def grad_cam(odds: ImageOdds, image: Tensor, *, layer: GridLayer) -> NDArray[np.float64]:
    """Grad-CAM (Selvaraju et al., ICCV 2017, eq. 1 and 2) of the log-odds of the positive label, with its sign.

    The paper's map is the positive part: what speaks for the label. The negative part is the map of the other labels,
    whose log-odds are the same with the other sign. The values have no unit, and do not sum to anything.

    Args:
        odds: Of the case; no layer of its network works in place.
        image: (1, C, n_px, n_px).
        layer: Of the image branch's backbone.

    Returns:
        (n_px, n_px), the layer's grid resampled bilinearly.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    backbone: Any = odds.model.network.branches["image"].backbone
    seen = nn.Identity()

    def look(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        return layer.join(seen(layer.split(output)), output)

    # Captum wants channels in the second place: on its way to the next layer the output is brought into that form.
    hook = backbone.trunk.get_submodule(layer.name).register_forward_hook(look)
    try:
        coarse = LayerGradCam(odds, seen).attribute(image)
    finally:
        hook.remove()
    side = image.shape[-1]
    fine: Tensor = LayerAttribution.interpolate(coarse, (side, side), interpolate_mode="bilinear")
    return np.asarray(fine.detach().double().numpy()[0, 0])
