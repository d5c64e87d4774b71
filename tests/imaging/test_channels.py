import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from fusion.errors import FusionError
from fusion.imaging.channels import N_CHANNELS, compose_channels

CONFIG = Path(__file__).parents[2] / "conf/imaging/default.yaml"
CROPS = np.random.default_rng(0).random((3, 2, 4, 5), dtype=np.float32)
IMAGE, MASK = CROPS[:, 0], CROPS[:, 1]
EXPECTED = {
    "image": np.stack([IMAGE], 1),
    "image_mask": np.stack([IMAGE, MASK], 1),
    "image_roi_mask": np.stack([IMAGE, IMAGE * MASK, MASK], 1),
}


@pytest.mark.parametrize("channels", list(N_CHANNELS))
def test_numpy_and_torch_agree(channels: str) -> None:
    import torch

    composed = compose_channels(CROPS, channels=channels)
    assert composed.shape == (3, N_CHANNELS[channels], 4, 5)
    np.testing.assert_array_equal(composed, EXPECTED[channels])
    from_torch = compose_channels(torch.from_numpy(CROPS), channels=channels)
    assert isinstance(from_torch, torch.Tensor)
    np.testing.assert_array_equal(from_torch.numpy(), EXPECTED[channels])


def test_gradients_pass() -> None:
    import torch

    crops = torch.from_numpy(CROPS).requires_grad_()
    compose_channels(crops, channels="image_roi_mask").sum().backward()
    assert crops.grad is not None
    np.testing.assert_allclose(crops.grad[:, 0], 1 + MASK)


def test_unknown_channels_are_refused() -> None:
    with pytest.raises(FusionError, match="required one of image, image_mask, image_roi_mask, came 'rgb'"):
        compose_channels(CROPS, channels="rgb")


def test_the_default_is_one_of_them() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    assert set(config) == {"n_px", "margin", "channels"}
    assert config["channels"] in N_CHANNELS


def test_heavy_packages_wait_until_they_are_needed() -> None:
    program = (
        "import sys, fusion.imaging.channels, fusion.imaging.store\n"
        "sys.exit(repr({'torch', 'SimpleITK', 'pydicom', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
