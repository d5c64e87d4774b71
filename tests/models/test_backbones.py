import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import timm
import torch
from omegaconf import OmegaConf
from torch import nn

from fusion.errors import FusionError
from fusion.models.backbones import Backbone, build_backbone

CONF = Path(__file__).parents[2] / "conf/backbone"
# The smallest side at which every backbone of the configuration still has something left to pool.
N_PX = 32
MONAI: dict[str, Any] = {"library": "monai", "name": "DenseNet121", "weights": "none", "d_embedding": 12, "options": {}}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails at once."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"the network was asked for: {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def build(*, n_channels: int = 3, n_px: int = N_PX, pretrained: bool = True, **changes: Any) -> Backbone:
    settings: dict[str, Any] = {"library": "timm", "name": "resnet10t", "weights": "none", "options": {}}
    return build_backbone(backbone=settings | changes, n_channels=n_channels, n_px=n_px, pretrained=pretrained)


def images(n_channels: int, *, n_px: int = N_PX) -> torch.Tensor:
    return torch.rand(2, n_channels, n_px, n_px, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_configured_backbone_builds_offline_for_gray_and_composed_input(path: Path) -> None:
    config = OmegaConf.create({"imaging": {"n_px": N_PX}, "backbone": OmegaConf.load(path)})
    settings: Any = OmegaConf.to_container(config, resolve=True)
    for n_channels in (1, 3):
        backbone = build(n_channels=n_channels, **settings["backbone"]).eval()
        with torch.no_grad():
            embedding = backbone(images(n_channels))
        assert embedding.shape == (2, backbone.d_out)
        assert torch.isfinite(embedding).all()
        assert not torch.allclose(embedding[0], embedding[1], atol=1e-7), "the embedding does not depend on the image"


def test_the_width_is_measured_because_a_model_may_misstate_it() -> None:
    backbone = build(name="mobilenetv3_small_050")
    assert backbone.trunk.num_features == 288
    assert backbone.d_out == 1024


def test_measuring_leaves_the_backbone_trainable_and_its_statistics_untouched() -> None:
    backbone = build()
    assert backbone.training
    assert all(int(count) == 0 for name, count in backbone.named_buffers() if name.endswith("num_batches_tracked"))


def test_input_is_normalized_as_the_model_expects_it() -> None:
    gray, color = build(n_channels=1), build(n_channels=3)
    torch.testing.assert_close(color.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    torch.testing.assert_close(color.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))
    torch.testing.assert_close(gray.mean.flatten(), torch.tensor([0.449]))
    torch.testing.assert_close(gray.std.flatten(), torch.tensor([0.226]))
    backbone = color.eval()
    with torch.no_grad():
        torch.testing.assert_close(backbone(images(3)), backbone.trunk((images(3) - color.mean) / color.std))


def test_a_vit_takes_the_size_of_the_image() -> None:
    backbone = build(name="vit_tiny_patch16_224", n_px=48, options={"img_size": 48})
    assert backbone.trunk.get_parameter("pos_embed").shape[1] == 1 + 3 * 3
    assert backbone(images(3, n_px=48)).shape == (2, 192)


def test_a_vit_of_another_size_is_told_with_its_settings() -> None:
    with pytest.raises(FusionError, match=r"backbone 'vit_tiny_patch16_224' \(timm\) cannot be built for 3 x 32 x 32"):
        build(name="vit_tiny_patch16_224")


# --- weights from a file ---


def classifier() -> nn.Module:
    torch.manual_seed(1)
    return timm.create_model("resnet10t", num_classes=1000, in_chans=3)


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state}], ids=["bare", "wrapped"])
def test_a_classifiers_file_is_adapted_to_one_channel_and_loses_its_head(
    tmp_path: Path, wrap: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    state = classifier().state_dict()
    torch.save(wrap(dict(state)), tmp_path / "weights.pth")
    own = build(n_channels=1, weights=str(tmp_path / "weights.pth")).trunk.state_dict()
    assert set(own) == set(state) - {"fc.weight", "fc.bias"}
    # A gray pixel stands in all three channels, so the adapted filter is their sum.
    torch.testing.assert_close(own["conv1.0.weight"], state["conv1.0.weight"].sum(1, keepdim=True))
    assert all(torch.equal(own[name], state[name]) for name in own if name != "conv1.0.weight")


def test_a_file_of_the_networks_own_shape_is_taken_as_it_is(tmp_path: Path) -> None:
    donor = build(n_channels=1)
    torch.save(donor.trunk.state_dict(), tmp_path / "weights.pth")
    own = build(n_channels=1, weights=str(tmp_path / "weights.pth")).trunk.state_dict()
    assert all(torch.equal(own[name], values) for name, values in donor.trunk.state_dict().items())


def test_a_vits_file_is_resampled_to_the_size_of_the_image(tmp_path: Path) -> None:
    donor = timm.create_model("vit_tiny_patch16_224", depth=1)
    torch.save(donor.state_dict(), tmp_path / "weights.pth")
    options = {"img_size": N_PX, "depth": 1}
    backbone = build(name="vit_tiny_patch16_224", options=options, weights=str(tmp_path / "weights.pth"))
    own = backbone.trunk.get_parameter("blocks.0.attn.qkv.weight")
    assert torch.equal(own, donor.get_parameter("blocks.0.attn.qkv.weight"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: {f"encoder.{name}": values for name, values in state.items()},
        lambda state: {},
        lambda state: {name: values for name, values in state.items() if not name.startswith("layer4.0.conv2")},
    ],
    ids=["prefixed", "empty", "a layer short"],
)
def test_a_file_that_leaves_a_layer_at_random_is_refused(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    torch.save(spoil(classifier().state_dict()), tmp_path / "weights.pth")
    with pytest.raises(FusionError, match=r"weights.pth does not fit timm's 'resnet10t': required all layers but the"):
        build(weights=str(tmp_path / "weights.pth"))


def test_checking_a_file_does_not_move_the_random_numbers_on(tmp_path: Path) -> None:
    torch.save(classifier().state_dict(), tmp_path / "weights.pth")
    draws = []
    for weights in ("none", str(tmp_path / "weights.pth")):
        torch.manual_seed(0)
        build(weights=weights)
        draws.append(torch.rand(1))
    assert torch.equal(*draws)


def test_a_file_of_another_architecture_is_refused(tmp_path: Path) -> None:
    torch.save(classifier().state_dict(), tmp_path / "weights.pth")
    with pytest.raises(FusionError, match="does not fit timm's 'resnet14t'"):
        build(name="resnet14t", weights=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("settings", [{}, MONAI], ids=["timm", "monai"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no weights at all"])
def test_a_file_that_is_no_file_of_weights_is_refused(tmp_path: Path, settings: dict[str, Any], content: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(FusionError, match=r"backbone.weights: .*weights\.pth"):
        build(**(settings | {"weights": str(tmp_path / "weights.pth")}))


def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "weights.pth")
    for settings in ({}, MONAI):
        with pytest.raises(FusionError, match=r"backbone.weights: .*weights\.pth"):
            build(**(settings | {"weights": str(tmp_path / "weights.pth")}))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FusionError, match=r"required none, hub or a file of weights, came '.*absent.pth'"):
        build(weights=str(tmp_path / "absent.pth"))


def test_a_monai_classifiers_file_is_adapted_to_one_channel_and_loses_its_head(tmp_path: Path) -> None:
    from monai.networks.nets.densenet import DenseNet121

    donor = DenseNet121(spatial_dims=2, in_channels=3, out_channels=1000).state_dict()
    torch.save(donor, tmp_path / "weights.pth")
    own = build(n_channels=1, **(MONAI | {"weights": str(tmp_path / "weights.pth")})).trunk.state_dict()
    first, head = "features.conv0.weight", {"class_layers.out.weight", "class_layers.out.bias"}
    torch.testing.assert_close(own[first], donor[first].sum(1, keepdim=True))
    assert own["class_layers.out.weight"].shape == (12, 1024)
    assert set(own) == set(donor)
    assert all(torch.equal(own[name], donor[name]) for name in own if name not in {first, *head})


def test_a_monai_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    torch.save(classifier().state_dict(), tmp_path / "weights.pth")
    with pytest.raises(FusionError, match=r"does not fit MONAI's 'DenseNet121': .* came 0 of 727; .*features.conv0"):
        build(**(MONAI | {"weights": str(tmp_path / "weights.pth")}))


def test_a_checkpoint_is_reloaded_without_the_file_of_weights(tmp_path: Path) -> None:
    for settings in ({}, MONAI):
        for weights in (str(tmp_path / "gone.pth"), "hub"):
            assert build(pretrained=False, **(settings | {"weights": weights})).d_out


# --- weights from the hub ---

WAYS_OUT = r"could not be had .*Two ways out: run where the hub can be reached .*backbone\.weights=FILE"


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "convnext_tiny"])
def test_hub_weights_that_cannot_be_had_are_told_with_the_two_ways_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FusionError, match=rf"backbone.weights=hub: the weights of '{name}' {WAYS_OUT}") as caught:
        build(name=name, weights="hub")
    assert "the network was asked for" not in str(caught.value)


def test_hub_weights_of_monai_that_cannot_be_had_are_told_with_the_two_ways_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("monai.networks.nets.densenet.load_state_dict_from_url", fail)
    with pytest.raises(FusionError, match=WAYS_OUT):
        build(**(MONAI | {"weights": "hub"}))


def test_hub_weights_of_monai_are_for_three_channels_only() -> None:
    with pytest.raises(FusionError, match="for 3 channels only"):
        build(n_channels=1, **(MONAI | {"weights": "hub"}))


def test_without_weights_no_monai_network_fetches_them() -> None:
    # MONAI's own default of this network is to fetch them.
    settings = MONAI | {"name": "EfficientNetBN", "options": {"model_name": "efficientnet-b0"}}
    assert build(n_px=64, **settings).d_out == 12


# --- names and options ---


@pytest.mark.parametrize(
    ("settings", "name", "close"),
    [({}, "rsnet18", "resnet18"), ({}, "efficientnetb0", "efficientnet_b0"), (MONAI, "DensNet121", "DenseNet121")],
)
def test_an_unknown_name_gives_close_ones(settings: dict[str, Any], name: str, close: str) -> None:
    with pytest.raises(FusionError, match=rf"came '{name}'; close to it: .*\b{close}\b"):
        build(**(settings | {"name": name}))


def test_an_unknown_library_is_told() -> None:
    with pytest.raises(FusionError, match=r"backbone.library: required one of timm, monai, came 'torchvision'"):
        build(library="torchvision")


def test_an_unknown_tag_is_told() -> None:
    with pytest.raises(FusionError, match=r"Invalid pretrained tag \(nope\)"):
        build(name="resnet18.nope")


def test_an_option_that_the_library_does_not_have_is_told() -> None:
    with pytest.raises(FusionError, match=r"with options \{'wings': 2\}"):
        build(options={"wings": 2})


def test_a_network_that_gives_no_embedding_is_told() -> None:
    with pytest.raises(
        FusionError, match=r"required one embedding per image, came an output of shape \(1, 512, 1, 1\)"
    ):
        build(options={"global_pool": ""})
