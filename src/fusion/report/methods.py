"""How the run was done, in sentences, from its configuration and manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fusion.report.run_folder import FinishedRun

RANDOM_START = "trained from random initialization, not pretrained"


def methods(run: FinishedRun) -> list[str]:
    """A sentence per stage that the run recorded."""
    return [*_split(run), *_image(run), *_radiomics(run), *_head(run), *_threshold(run), *_intervals(run)]


def starts_at_random(run: FinishedRun) -> bool:
    """Whether the image branch had no pretrained weights."""
    backbone = run.config.get("backbone")
    return isinstance(backbone, Mapping) and backbone.get("weights") in (None, "none")


def _split(run: FinishedRun) -> Iterator[str]:
    folds = f"{run.n_folds} folds" if run.n_folds > 1 else "one division"
    yield (
        f"Patients were divided by the split “{_name(run.config, 'split')}” ({folds}), never the images of one "
        "patient. Everything that learns was fitted on the training part of its fold."
    )


def _image(run: FinishedRun) -> Iterator[str]:
    backbone = run.config.get("backbone")
    if not isinstance(backbone, Mapping):
        return
    start = RANDOM_START if starts_at_random(run) else f"started from the weights {run.manifest.get('weights')}"
    yield f"Image branch: {backbone.get('name')}, {start}."


def _radiomics(run: FinishedRun) -> Iterator[str]:
    radiomics = run.config.get("radiomics")
    if not isinstance(radiomics, Mapping):
        return
    mode = {"2d": "true 2D", "single_slice_3d": "single slice as 3D"}.get(str(radiomics.get("mode")), "an unnamed mode")
    penalty = f", under an L1 penalty of {run.config['l1']:g}" if run.config.get("l1") is not None else ""
    yield f"Radiomics branch: PyRadiomics features in {mode}{penalty}."


def _head(run: FinishedRun) -> Iterator[str]:
    if run.config.get("head") is not None:
        yield f"The branches were joined by the head “{_name(run.config, 'head')}”."


def _threshold(run: FinishedRun) -> Iterator[str]:
    if run.thresholds:
        values = ", ".join(f"{value:.3f}" for _, value in sorted(run.thresholds.items()))
        yield f"The threshold was chosen on the validation part of each fold and frozen before testing ({values})."


def _intervals(run: FinishedRun) -> Iterator[str]:
    yield (
        f"Intervals have a level of {run.level:.3g}: DeLong's on the logit scale for an AUC, Wilson's for shares, a "
        "bootstrap of patients for Brier score, F1 and balanced accuracy. They hold for this trained model; another "
        "training run, or another cohort, varies more."
    )


def _name(config: Mapping[str, Any], group: str) -> str:
    value = config.get(group)
    return str(value.get("name", "unnamed")) if isinstance(value, Mapping) else str(value)
