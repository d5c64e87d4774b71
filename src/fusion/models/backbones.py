"""Image backbones by name, from timm or MONAI, each ending in one embedding per image."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusion.errors import FusionError


class Backbone(nn.Module):
    """(B, C, H, W) in [0, 1] → (B, d_out).

    Attributes:
        d_out: Width of the embedding, taken from a forward pass: a model's own statement of it is not always right.
        trunk: The network itself, for explanations that need one of its layers.
    """

    def __init__(self, *, trunk: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], n_px: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.d_out = _measure_width(self, n_channels=len(mean), n_px=n_px)

    def forward(self, image: Tensor) -> Tensor:
        """Embed images."""
        embedding: Tensor = self.trunk((image - self.mean) / self.std)
        return embedding


def build_backbone(*, backbone: Mapping[str, Any], n_channels: int, n_px: int, pretrained: bool) -> Backbone:
    """Build the backbone that ``conf/backbone/<name>.yaml`` describes.

    Args:
        backbone: ``library`` (timm or monai), ``name``, ``weights`` (``none``, ``hub`` or a file), ``options`` of the
            library's constructor and, for MONAI, ``d_embedding``.
        n_channels: Input channels.
        n_px: Side of the square input, in pixels.
        pretrained: Whether to load the weights; False where a checkpoint is loaded into the network afterwards.

    Raises:
        FusionError: For a name that the library does not have, or weights that cannot be had.
    """
    weights = str(backbone["weights"]) if pretrained else "none"
    if weights not in ("none", "hub") and not Path(weights).is_file():
        raise FusionError(
            f"backbone.weights: required none, hub or a file of weights, came {weights!r}, which is no file"
        )
    if backbone["library"] not in _BUILDERS:
        raise FusionError(f"backbone.library: required one of {', '.join(_BUILDERS)}, came {backbone['library']!r}")
    try:
        trunk, mean, std = _BUILDERS[backbone["library"]](backbone, weights, n_channels)
        return Backbone(trunk=trunk, mean=mean, std=std, n_px=n_px)
    # Whatever a library raises over sizes and options, the user has to be told which setting it came from.
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise FusionError(
            f"backbone {backbone['name']!r} ({backbone['library']}) cannot be built for {n_channels} x {n_px} x {n_px} "
            f"input with options {dict(backbone['options'])}: {error}"
        ) from error


def _build_timm(backbone: Mapping[str, Any], weights: str, n_channels: int) -> tuple[nn.Module, Any, Any]:
    import timm

    name = backbone["name"]
    if not timm.is_model(name.split(".")[0]):
        raise _unknown_name("a timm model", name, timm.list_models())
    options: dict[str, Any] = dict(backbone["options"])
    if weights not in ("none", "hub"):
        options["pretrained_cfg_overlay"] = {"file": weights}
    build = partial(timm.create_model, name, in_chans=n_channels, num_classes=0, **options)
    start = torch.get_rng_state()
    try:
        trunk = build(pretrained=weights != "none")
    # The hub's client raises a different error for each way of not being reached.
    except Exception as error:
        if weights == "hub":
            raise _no_hub_weights(name, error) from error
        if weights != "none":
            raise FusionError(f"backbone.weights: {weights} does not fit timm's {name!r}: {error}") from error
        raise
    if weights != "none":
        torch.set_rng_state(start)
        _refuse_random_layers(trunk, build(pretrained=False), name, weights)
    config: Mapping[str, Any] = trunk.pretrained_cfg  # type: ignore[assignment]  # Set by timm, unknown to torch.
    mean, std = config.get("mean", (0.5,) * 3), config.get("std", (0.25,) * 3)
    if len(mean) != n_channels:
        mean, std = (sum(mean) / len(mean),) * n_channels, (sum(std) / len(std),) * n_channels
    return trunk, tuple(mean), tuple(std)


def _refuse_random_layers(trunk: nn.Module, fresh: nn.Module, name: str, weights: str) -> None:
    """Refuse weights that leave a layer as ``fresh``, built from the same seed, has it: timm passes over a lack."""
    random = dict(fresh.named_parameters())
    matrices = [(layer, values) for layer, values in trunk.named_parameters() if values.ndim > 1 and values.std() > 0]
    lacking = [layer for layer, values in matrices if torch.equal(values, random[layer])]
    if lacking:
        raise FusionError(
            f"backbone.weights: {weights} does not fit timm's {name!r}: required all layers but the head, "
            f"came {len(matrices) - len(lacking)} of {len(matrices)}; the first that lacks: {lacking[0]}"
        )


def _unknown_name(required: str, name: str, known: Iterable[str]) -> FusionError:
    close = difflib.get_close_matches(name, known, n=5)
    return FusionError(f"backbone.name: required {required}, came {name!r}; close to it: {', '.join(close) or 'none'}")


def _build_monai(backbone: Mapping[str, Any], weights: str, n_channels: int) -> tuple[nn.Module, Any, Any]:
    from monai.networks import nets

    name = backbone["name"]
    if not hasattr(nets, name):
        raise _unknown_name("a network of monai.networks.nets", name, dir(nets))
    build = getattr(nets, name)
    accepted = inspect.signature(build).parameters
    # MONAI's classifiers end in a linear layer; its width is made the embedding's, so any of them can be used whole.
    width = "out_channels" if "out_channels" in accepted else "num_classes"
    # Said either way: some of MONAI's networks fetch weights unless they are told not to.
    hub = {"pretrained": weights == "hub"} if "pretrained" in accepted else {}
    if weights == "hub" and (not hub or n_channels != 3):
        raise FusionError(
            f"backbone.weights=hub: MONAI has weights of {name!r} for 3 channels only, if at all; give a file"
        )
    try:
        trunk = build(
            spatial_dims=2, in_channels=n_channels, **{width: backbone["d_embedding"]}, **hub, **backbone["options"]
        )
    except OSError as error:
        raise _no_hub_weights(name, error) from error
    if weights not in ("none", "hub"):
        _load_monai_file(trunk, Path(weights), name)
    return trunk, (0.5,) * n_channels, (0.25,) * n_channels


def _load_monai_file(trunk: nn.Module, path: Path, name: str) -> None:
    from timm.models import adapt_input_conv, load_state_dict

    try:
        state = dict(load_state_dict(str(path)))
    # torch raises many kinds for a file that is cut short, of another format, or holds code.
    except Exception as error:
        raise FusionError(f"backbone.weights: required a file of weights, came {path}, unreadable: {error}") from error
    own = trunk.state_dict()
    first, head = next(iter(own)), list(own)[-2:]
    if first in state and state[first].shape[1] != own[first].shape[1]:
        state[first] = adapt_input_conv(own[first].shape[1], state[first])
    loaded = {key: value for key, value in state.items() if key in own and value.shape == own[key].shape}
    lacking = [key for key in own if key not in loaded and key not in head]
    if lacking:
        raise FusionError(
            f"backbone.weights: {path} does not fit MONAI's {name!r}: required all layers but the head, "
            f"came {len(loaded)} of {len(own)}; the first that lacks: {lacking[0]}"
        )
    trunk.load_state_dict(loaded, strict=False)


def _no_hub_weights(name: str, error: Exception) -> FusionError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return FusionError(
        f"backbone.weights=hub: the weights of {name!r} could not be had ({reason}). Two ways out: run where the hub "
        "can be reached (or has been, with the same cache), or download the file and give it as backbone.weights=FILE. "
        "For a random start, say so: backbone.weights=none"
    )


_BUILDERS = {"timm": _build_timm, "monai": _build_monai}


def _measure_width(backbone: Backbone, *, n_channels: int, n_px: int) -> int:
    was_training = backbone.training
    with torch.no_grad():
        embedding = backbone.eval()(torch.zeros(1, n_channels, n_px, n_px))
    backbone.train(was_training)
    if embedding.ndim != 2:
        raise FusionError(
            f"backbone: required one embedding per image, came an output of shape {tuple(embedding.shape)}"
        )
    return int(embedding.shape[1])


logging.getLogger("timm").setLevel(logging.ERROR)
