"""Image and mask → the input channels of an image backbone."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion.errors import FusionError

N_CHANNELS = {"image": 1, "image_mask": 2, "image_roi_mask": 3}


def compose_channels(crops: Any, *, channels: str) -> Any:
    """Choose what the backbone sees.

    Args:
        crops: (B, 2, H, W) image and lesion coverage in [0, 1], as a numpy array or a torch tensor of any device.
        channels: ``image``; ``image_mask``; or ``image_roi_mask``: image, image times coverage, coverage.

    Returns:
        (B, N_CHANNELS[channels], H, W) of the same type as ``crops``.

    Raises:
        FusionError: If ``channels`` is none of these.
    """
    image, coverage = crops[:, :1], crops[:, 1:]
    if channels == "image":
        return image
    if channels == "image_mask":
        return crops
    if channels == "image_roi_mask":
        return _concatenate([image, image * coverage, coverage])
    raise FusionError(f"imaging.channels: required one of {', '.join(N_CHANNELS)}, came {channels!r}")


def _concatenate(parts: list[Any]) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts, axis=1)
    import torch

    return torch.cat(parts, dim=1)
