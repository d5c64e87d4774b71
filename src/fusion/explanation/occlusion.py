"""Occlusion of one case: what the log-odds lose when a window of the image is covered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fusion.explanation.log_odds import ImageOdds

# Bounds memory; no result depends on it.
_WINDOWS_AT_ONCE = 64


def occlusion(odds: ImageOdds, image: Tensor, *, window: float, stride: float) -> NDArray[np.float64]:
    """Occlusion (Zeiler & Fergus, ECCV 2014, section 4.2) of the log-odds of the positive label.

    A covered window is as the baseline of the integrated gradients: black, without a lesion.

    Args:
        odds: Of the case.
        image: (1, C, n_px, n_px).
        window: Its side, as a share of the crop's.
        stride: From a window to the next, as a share of the crop's side, at most ``window``.

    Returns:
        (n_px, n_px) mean loss, in log-odds, over the windows that cover a pixel: above 0 where it speaks for the label.
    """
    from captum.attr import Occlusion

    _, n_channels, n_px, _ = image.shape
    window_px, stride_px = (max(1, round(share * n_px)) for share in (window, stride))
    values: Tensor = Occlusion(odds).attribute(
        image,
        sliding_window_shapes=(n_channels, window_px, window_px),
        strides=(n_channels, stride_px, stride_px),
        baselines=0.0,
        perturbations_per_eval=_WINDOWS_AT_ONCE,
    )
    # A window covers all channels at once: each has its whole effect.
    return np.asarray(values.detach().double().numpy()[0, 0])
