from typing import Any

import torch

from fusion.training.augment import augment

NOTHING = dict.fromkeys(("rotate_deg", "scale", "shift", "flip", "gain", "contrast", "gamma", "speckle"), 0.0)
EVERYTHING = {
    "rotate_deg": 30,
    "scale": 0.3,
    "shift": 0.2,
    "flip": 0.5,
    "gain": 0.5,
    "contrast": 0.8,
    "gamma": 0.8,
    "speckle": 0.5,
}


def make_crops(n_crops: int = 16) -> torch.Tensor:
    """Noise, with a mask of rows 2 to 9 and columns 4 to 14 out of 32."""
    crops = torch.rand(n_crops, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    crops[:, 1] = 0
    crops[:, 1, 2:10, 4:15] = 1
    return crops


def augmented(crops: torch.Tensor, **settings: Any) -> torch.Tensor:
    torch.manual_seed(5)
    return augment(crops, augmentation=NOTHING | settings)


def test_zero_settings_change_nothing() -> None:
    torch.testing.assert_close(augmented(make_crops()), make_crops(), atol=1e-5, rtol=0)


def test_values_stay_in_range_and_the_crops_given_stay_as_they_are() -> None:
    crops = make_crops()
    found = augmented(crops, **EVERYTHING)
    assert found.shape == crops.shape
    assert 0 <= float(found.min()) < float(found.max()) <= 1
    assert torch.isfinite(found).all()
    assert torch.equal(crops, make_crops())


def test_the_mask_follows_the_image() -> None:
    crops = make_crops()
    crops[:, 0] = crops[:, 1]
    found = augmented(crops, rotate_deg=20, scale=0.2, shift=0.1, flip=0.5)
    torch.testing.assert_close(found[:, 0], found[:, 1], atol=1e-5, rtol=0)
    assert not torch.allclose(found, crops, atol=0.1)


def test_what_disturbs_the_image_leaves_the_mask_alone() -> None:
    found = augmented(make_crops(), gain=0.5, contrast=0.5, gamma=0.5, speckle=0.3)
    torch.testing.assert_close(found[:, 1], make_crops()[:, 1], atol=1e-5, rtol=0)
    assert ((found[:, 0] - make_crops()[:, 0]).abs().flatten(1).mean(1) > 0.01).all()


def test_a_flip_is_left_right_and_never_up_down() -> None:
    found = augmented(make_crops(), flip=1.0)
    torch.testing.assert_close(found, make_crops().flip(3), atol=1e-5, rtol=0)


def test_a_mask_in_the_upper_half_stays_there() -> None:
    mask = augmented(make_crops(64), scale=0.1, shift=0.05, flip=0.5)[:, 1]
    assert (mask[:, :16].sum((1, 2)) > 40).all()
    assert mask[:, 17:].abs().max() < 1e-5


def test_a_flip_has_its_probability() -> None:
    # Column 24 is in the mirror image of the mask only.
    mirrored = augmented(make_crops(400), flip=0.25)[:, 1, 5, 24] > 0.5
    assert 0.18 < float(mirrored.double().mean()) < 0.32


def test_a_rotation_keeps_shape_and_center() -> None:
    crops = torch.zeros(1, 2, 33, 33)
    crops[:, :, 16, 10:23] = 1
    torch.manual_seed(0)
    found = augment(crops.expand(50, -1, -1, -1), augmentation=NOTHING | {"rotate_deg": 90})
    assert (found[:, 1, 16, 16] > 0.9).all()
    # The bar turns both ways, and is never sheared: its second moment about the center stays.
    y, x = torch.meshgrid(torch.arange(33) - 16.0, torch.arange(33) - 16.0, indexing="ij")
    moment = (found[:, 1] * (x**2 + y**2)).sum((1, 2)) / found[:, 1].sum((1, 2))
    torch.testing.assert_close(moment, torch.full((50,), 14.0), atol=1.0, rtol=0)
    slope = (found[:, 1] * x * y).sum((1, 2))
    assert slope.max() > 20
    assert slope.min() < -20


def test_every_crop_is_moved_its_own_way() -> None:
    found = augmented(make_crops(1).expand(8, -1, -1, -1), **EVERYTHING)
    assert all(not torch.allclose(found[0], other, atol=0.01) for other in found[1:])


def test_speckle_is_weaker_where_the_image_is_dark() -> None:
    crops = torch.full((1, 2, 64, 64), 0.5)
    crops[:, :, 32:] = 0.05
    found = augmented(crops, speckle=0.1)[0, 0]
    assert abs(float(found[:32].std()) / float(found[32:].std()) - 10) < 1.5
