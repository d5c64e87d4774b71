"""The truth: a network was taught that a bright patch in one place is the label, and every method finds the patch."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from fusion.errors import FusionError
from fusion.explanation.deletion import Deletion
from fusion.explanation.integrated_gradients import explain_within
from fusion.explanation.log_odds import ImageOdds
from fusion.explanation.pixel_tables import write_pixels
from fusion.explanation.pixels import METHODS, PixelExplanations, check_methods, explain_pixels
from fusion.explanation.randomization import randomized
from fusion.imaging.store import Crops
from fusion.training.inputs import make_loader

N_PX = 32
SETTINGS: dict[str, Any] = {
    "methods": ["integrated_gradients", "grad_cam", "occlusion"],
    "most_steps": 64,
    "smallest_difference": 0.05,
    "ring": 0.1,
    "occlusion": {"window": 0.25, "stride": 0.125},
    "deletion": {"cell": 0.125, "n_steps": 8},
    "n_random_orders": 4,
    "randomization": {"n_networks": 2, "n_steps": 4},
    "bars": {"completeness_error": 0.05, "p": 0.05, "similarity_randomized": 0.7},
}


def explained(example: Any, cases: Any = None, **changes: Any) -> PixelExplanations | None:
    cases = example.cases if cases is None else cases
    settings = SETTINGS | changes
    inputs = example.model.assemble(cases, crops=example.crops, features=example.features)
    gradients = explain_within(
        example.model,
        inputs,
        n_steps=8,
        most_steps=settings["most_steps"],
        tolerance=settings["bars"]["completeness_error"],
        smallest_difference=settings["smallest_difference"],
    )
    return explain_pixels(
        example.model,
        cases,
        gradients=gradients,
        crops=example.crops,
        features=example.features,
        settings=settings,
    )


def with_patches(draw: np.random.Generator, n_cases: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Dim speckle, with a bright patch in the lower left in every other image; the mask says where it would be."""
    pixels = draw.integers(20, 90, (n_cases, 2, N_PX, N_PX), dtype=np.uint8)
    pixels[:, 1] = 0
    pixels[:, 1, 18:30, 2:14] = 255
    labels = np.arange(n_cases) % 2
    pixels[labels == 1, 0, 18:30, 2:14] += 140
    return pixels, labels


@pytest.fixture
def taught(make_example: Callable[..., Any]) -> Any:
    """Six cases with the patch, and a network that was fitted to tell them from cases without."""
    example = make_example(branches=("image",))
    pixels, labels = with_patches(np.random.default_rng(1), 64)
    network = example.model.network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    draw = np.random.default_rng(2)
    for _ in range(25):
        rows = draw.permutation(64)[:24]
        image = torch.from_numpy(pixels[rows]).float() / 255
        none = torch.zeros(len(rows), 0)
        present = torch.tensor([[True, False, False]]).expand(len(rows), -1)
        loss = torch.nn.functional.cross_entropy(network(image, none, none, present), torch.from_numpy(labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    shown, _ = with_patches(np.random.default_rng(3), 12)
    ids = tuple(case.case_id for case in example.cases)
    crops = Crops(case_ids=ids, array=shown[1::2], key="crops")
    return replace(example, crops=crops, model=replace(example.model, prior_shift=(0.0, 0.0)))


def test_every_method_finds_the_place_that_matters_and_is_believed(taught: Any) -> None:
    found = explained(taught)
    assert found is not None
    assert tuple(found.maps) == METHODS
    for method in METHODS:
        for one in found.maps[method]:
            assert one.share.ratio.argmax() == 0, method
            assert one.share.ratio[0] > 1.5, method
            # It is where the patch is that speaks for the label.
            assert one.values[18:30, 2:14].sum() > 0, method
        verdict = found.verdicts[method]
        assert not verdict.broken, (method, str(verdict))
        assert verdict.deletion_gain > 0.02
        assert verdict.insertion_gain > 0.02


def test_the_wrong_place_does_no_better_than_random(taught: Any) -> None:
    inputs = taught.model.assemble(taught.cases[:1], crops=taught.crops, features=taught.features)
    loader = make_loader(inputs, weights=np.ones(1, dtype=np.float32), batch_size=1, shuffle=False)
    odds, image = ImageOdds.of(taught.model, next(iter(loader)))
    deletion = Deletion(odds=odds, image=image, cell=0.125, n_steps=8)
    right = np.zeros((N_PX, N_PX))
    right[18:30, 2:14] = 1.0
    good = deletion.areas(right, n_orders=16, seed=0)
    assert good.deletion < good.deletion_random
    assert good.insertion > good.insertion_random
    bad = deletion.areas(-right, n_orders=16, seed=0)
    assert bad.deletion > bad.deletion_random
    assert bad.insertion < bad.insertion_random


def test_an_explanation_that_survives_a_randomized_network_is_unfaithful(taught: Any) -> None:
    untaught = replace(taught, model=randomized(taught.model, seed=0))
    found = explained(untaught, methods=["integrated_gradients"], randomization={"n_networks": 1, "n_steps": 8})
    assert found is not None
    # The randomized network of seed 0 is the network itself.
    assert found.verdicts["integrated_gradients"].similarity_randomized > 0.95
    assert str(found.verdicts["integrated_gradients"]).startswith("unfaithful")
    assert "survives a randomized network" in str(found.verdicts["integrated_gradients"])


def test_cases_without_an_image_are_left_out(make_example: Callable[..., Any]) -> None:
    example = make_example()
    found = explained(example, methods=["grad_cam"])
    assert found is not None
    assert found.rows == (0, 2, 3, 4, 5)
    assert [case.case_id for case in found.cases] == [f"case {i}" for i in found.rows]
    assert found.verdicts["grad_cam"].n_cases == 5
    assert all(len(maps) == 5 for maps in found.maps.values())


def test_without_an_image_branch_or_any_image_there_is_nothing_to_do(make_example: Callable[..., Any]) -> None:
    assert explained(make_example(branches=("clinical",))) is None
    example = make_example()
    assert explained(example, example.cases[1:2]) is None


def test_three_labels_an_empty_mask_and_a_single_case(make_example: Callable[..., Any], tmp_path: Path) -> None:
    example = make_example(label_names=("normal", "benign", "malignant"))
    pixels = np.array(example.crops.array)
    pixels[0, 1] = 0
    example = replace(example, crops=replace(example.crops, array=pixels))
    found = explained(example, example.cases[:1])
    assert found is not None
    for maps in found.maps.values():
        assert maps[0].share.attribution.tolist() == [0, 0, 1]
    assert all(not str(verdict).startswith("faithful") for verdict in found.verdicts.values())
    write(found, example, tmp_path)
    assert read(tmp_path / "pixels.csv")[0]["ratio_lesion"] == ""


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(FusionError, match=r"methods: required some of integrated_gradients, .*, came saliency"):
        check_methods({"name": "fast", "pixels": {"methods": ["grad_cam", "saliency"]}})
    check_methods({"name": "none"})


def test_the_model_is_left_as_it_was_and_it_repeats(make_example: Callable[..., Any]) -> None:
    example = make_example()
    before = {name: value.clone() for name, value in example.model.network.state_dict().items()}
    flags = [getattr(layer, "inplace", None) for layer in example.model.network.modules()]
    few = {"methods": ["integrated_gradients", "grad_cam"], "randomization": {"n_networks": 1, "n_steps": 2}}
    first, again = (explained(example, example.cases[3:5], **few) for _ in range(2))
    assert all(torch.equal(before[name], value) for name, value in example.model.network.state_dict().items())
    assert [getattr(layer, "inplace", None) for layer in example.model.network.modules()] == flags
    assert not any(layer._forward_hooks for layer in example.model.network.modules())
    assert first is not None
    assert again is not None
    assert first.verdicts == again.verdicts


def write(found: PixelExplanations, example: Any, out_dir: Path) -> None:
    write_pixels(
        out_dir,
        out_dir / "images",
        found,
        captions=[f"caption of {case.case_id}" for case in found.cases],
        crops=example.crops,
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_tables_and_pictures_say_what_was_found(make_example: Callable[..., Any], tmp_path: Path) -> None:
    example = make_example(ids="../{}/$x$".format)
    few = {"methods": ["integrated_gradients", "grad_cam"], "randomization": {"n_networks": 1, "n_steps": 2}}
    found = explained(example, example.cases[3:], **few)
    assert found is not None
    write(found, example, tmp_path)
    rows = read(tmp_path / "pixels.csv")
    assert [(row["method"], row["case_id"]) for row in rows] == [
        (method, case.case_id) for method in ("integrated_gradients", "grad_cam") for case in example.cases[3:]
    ]
    for row in rows:
        for what in ("share", "area"):
            assert sum(float(row[f"{what}_{region}"]) for region in ("lesion", "ring", "beyond")) == pytest.approx(1)
        assert float(row["ratio_lesion"]) == pytest.approx(float(row["share_lesion"]) / float(row["area_lesion"]))
        assert (row["completeness_error"] == "") == (row["method"] == "grad_cam")
        assert 0 <= float(row["deletion"]) <= 1
        assert -1 <= float(row["similarity_randomized"]) <= 1
    checks = {row["method"]: row for row in read(tmp_path / "pixel_checks.csv")}
    for method, verdict in found.verdicts.items():
        assert checks[method]["verdict"] == str(verdict)
        mine = [row for row in rows if row["method"] == method]
        gains = [float(row["insertion"]) - float(row["insertion_random"]) for row in mine]
        assert float(checks[method]["insertion_gain"]) == pytest.approx(np.mean(gains))
    assert checks["grad_cam"]["completeness_error_bar"] == ""
    pictures = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert pictures == [f"..%2F{i}%2F%24x%24.png" for i in (3, 4, 5)]
    with Image.open(tmp_path / "images" / pictures[0]) as picture:
        # A panel each, of the crop and of two methods.
        assert picture.size[0] == 720
