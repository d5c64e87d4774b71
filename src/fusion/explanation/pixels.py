"""Explanations of what a fold's network saw in the images of some cases, each tested before it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError
from fusion.explanation.deletion import Deletion
from fusion.explanation.faithfulness import Checks, Verdict, judge
from fusion.explanation.grad_cam import grad_cam
from fusion.explanation.grid_layer import GridLayer, find_grid_layer
from fusion.explanation.integrated_gradients import Explanation, explain
from fusion.explanation.lesion_share import LesionShare, lesion_share
from fusion.explanation.log_odds import ImageOdds, without_inplace
from fusion.explanation.occlusion import occlusion
from fusion.explanation.randomization import randomized, similarity
from fusion.imaging.channels import N_CHANNELS
from fusion.imaging.store import Crops
from fusion.records import Case, FeatureTable
from fusion.training.fitted import FittedModel
from fusion.training.inputs import Inputs, make_loader

METHODS = ("integrated_gradients", "grad_cam", "occlusion")
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PixelMap:
    """What one method says of one case.

    Attributes:
        values: (n_px, n_px), above 0 for the positive label. In log-odds, but for Grad-CAM's, which have no unit.
        share: Of it in the lesion, the ring and beyond.
        checks: That it was put to.
    """

    values: Floats
    share: LesionShare
    checks: Checks


@dataclass(frozen=True, kw_only=True)
class PixelExplanations:
    """Of N cases that have an image.

    Attributes:
        cases: N of them.
        rows: (N,) of the cases among those that were to be explained.
        fold: Number of the model's fold.
        positive: Label that attributions above 0 speak for.
        maps: By method, N of them.
        verdicts: By method, over the cases.
        bars: That the verdicts were given by.
    """

    cases: tuple[Case, ...]
    rows: tuple[int, ...]
    fold: int
    positive: str
    maps: Mapping[str, tuple[PixelMap, ...]]
    verdicts: Mapping[str, Verdict]
    bars: Mapping[str, float]


def explain_pixels(
    model: FittedModel,
    cases: Sequence[Case],
    *,
    gradients: Explanation,
    crops: Crops,
    features: FeatureTable,
    settings: Mapping[str, Any],
) -> PixelExplanations | None:
    """Explain the images of cases by every method that is asked for, and test each.

    Args:
        model: In evaluation mode; it is explained on the CPU.
        cases: To be explained.
        gradients: Integrated gradients of the cases, see ``explain_within``.
        crops, features: That hold the cases.
        settings: ``pixels`` of ``conf/explain``.

    Returns:
        None where the network does not look at images, or no case has one.

    Raises:
        FusionError: For a backbone that Grad-CAM cannot be had of.
    """
    rows = tuple(row for row, case in enumerate(cases) if case.case_id in crops)
    if "image" not in model.network.names or not rows:
        return None
    pictured = tuple(cases[row] for row in rows)
    inputs = model.assemble(pictured, crops=crops, features=features)
    maps = _maps(without_inplace(model), inputs, settings) | {"integrated_gradients": gradients.pixels[list(rows)]}
    errors = gradients.relative_errors(smallest_difference=settings["smallest_difference"])[list(rows)]
    checks = _check(model, inputs, maps, errors, settings)
    masks = [crops.array[crops.index(case.case_id), 1] for case in pictured]
    return PixelExplanations(
        cases=pictured,
        rows=rows,
        fold=model.fold,
        positive=model.label_names[-1],
        maps={
            method: tuple(
                PixelMap(values=values, share=lesion_share(values, mask, ring=settings["ring"]), checks=check)
                for values, mask, check in zip(maps[method], masks, checks[method], strict=True)
            )
            for method in settings["methods"]
        },
        verdicts={method: judge(checks[method], bars=settings["bars"]) for method in settings["methods"]},
        bars=settings["bars"],
    )


def check_methods(explain: Mapping[str, Any]) -> None:
    """Look at ``conf/explain`` before anything is trained.

    Raises:
        FusionError: For a method that there is not.
    """
    unknown = [method for method in explain.get("pixels", {}).get("methods", ()) if method not in METHODS]
    if unknown:
        raise FusionError(f"explain.pixels.methods: required some of {', '.join(METHODS)}, came {', '.join(unknown)}")


def _maps(model: FittedModel, inputs: Inputs, settings: Mapping[str, Any]) -> dict[str, Floats]:
    """(N, n_px, n_px) by every method but the integrated gradients."""
    asked, found = settings["methods"], {}
    each = [ImageOdds.of(model, batch) for batch in _one_by_one(inputs)]
    if "grad_cam" in asked:
        layer = _grid_layer(model)
        found["grad_cam"] = np.stack([grad_cam(odds, image, layer=layer) for odds, image in each])
    if "occlusion" in asked:
        found["occlusion"] = np.stack([occlusion(odds, image, **settings["occlusion"]) for odds, image in each])
    return found


def _grid_layer(model: FittedModel) -> GridLayer:
    backbone: Any = model.network.branches["image"].backbone
    imaging = model.settings["imaging"]
    return find_grid_layer(backbone, n_channels=N_CHANNELS[imaging["channels"]], n_px=imaging["n_px"])


def _check(
    model: FittedModel, inputs: Inputs, maps: Mapping[str, Floats], errors: Floats, settings: Mapping[str, Any]
) -> dict[str, list[Checks]]:
    """By method, of each case."""
    similar = _similarities(model, inputs, maps, settings)
    checks: dict[str, list[Checks]] = {method: [] for method in settings["methods"]}
    for row, batch in enumerate(_one_by_one(inputs)):
        odds, image = ImageOdds.of(model, batch)
        deletion = Deletion(odds=odds, image=image, **settings["deletion"])
        for method, of_method in checks.items():
            of_method.append(
                Checks(
                    completeness_error=float(errors[row]) if method == "integrated_gradients" else None,
                    areas=deletion.areas(maps[method][row], n_orders=settings["n_random_orders"], seed=model.fold),
                    similarity_randomized=float(similar[method][row]),
                )
            )
    return checks


def _similarities(
    model: FittedModel, inputs: Inputs, maps: Mapping[str, Floats], settings: Mapping[str, Any]
) -> dict[str, Floats]:
    """(N,) by method, mean over several networks that learned nothing."""
    n_networks, n_steps = settings["randomization"]["n_networks"], settings["randomization"]["n_steps"]
    found = []
    for seed in range(n_networks):
        other = randomized(model, seed=seed)
        others = _maps(other, inputs, settings)
        if "integrated_gradients" in settings["methods"]:
            others["integrated_gradients"] = explain(other, inputs, n_steps=n_steps).pixels
        found.append(others)
    return {
        method: np.array(
            [[similarity(*pair) for pair in zip(maps[method], others[method], strict=True)] for others in found]
        ).mean(axis=0)
        for method in settings["methods"]
    }


def _one_by_one(inputs: Inputs) -> Iterator[Any]:
    return iter(make_loader(inputs, weights=np.ones(len(inputs), dtype=np.float32), batch_size=1, shuffle=False))
