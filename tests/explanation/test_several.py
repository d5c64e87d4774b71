import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusion.explanation.several import explain_several
from fusion.training.fitted import network_for

SAMPLING = {"n_cases": 6, "n_background": 4, "max_evaluations": 64}
PIXELS = {
    "methods": ["grad_cam"],
    "most_steps": 4,
    "smallest_difference": 0.05,
    "ring": 0.1,
    "deletion": {"cell": 0.25, "n_steps": 2},
    "n_random_orders": 1,
    "randomization": {"n_networks": 1, "n_steps": 2},
    "bars": {"completeness_error": 0.01, "p": 0.05, "similarity_randomized": 0.7},
}
FAST = {"name": "fast", "n_cases": 2, "n_steps": 4, "pixels": PIXELS, "network": SAMPLING}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def models(make_example: Callable[..., Any]) -> tuple[Any, list[Any]]:
    """An example, and its model beside another random one."""
    example = make_example()
    torch.manual_seed(1)
    model = example.model
    other = network_for(model.settings, model.encoder, model.scaler, 2, pretrained=False).eval()
    return example, [model, replace(model, network=other, fold=1)]


def explain(example: Any, models: list[Any], out_dir: Path, settings: dict[str, Any]) -> np.ndarray:
    given = {"crops": example.crops, "features": example.features}
    scores = [model.score_cases(example.cases, **given, accelerator="cpu").probabilities[:, -1] for model in models]
    mean: np.ndarray = np.mean(scores, axis=0)
    explain_several(out_dir, models=models, cases=example.cases, probabilities=mean, **given, settings=settings)
    return mean


def test_the_mean_of_the_models_values_explains_the_mean_of_their_probabilities(
    models: tuple[Any, list[Any]], tmp_path: Path
) -> None:
    example, both = models
    mean = explain(example, both, tmp_path, FAST)
    rows = read(tmp_path / "shapley.csv")
    assert [(row["case_id"], row["fold"]) for row in rows] == [
        (case.case_id, fold) for fold in "01" for case in example.cases
    ]
    for case, probability in zip(example.cases, mean.tolist(), strict=True):
        own = [row for row in rows if row["case_id"] == case.case_id]
        moved = [float(row[name] or 0) for row in own for name in ("image", "radiomics", "clinical")]
        base = np.mean([float(row["base"]) for row in own])
        assert sum(moved) / 2 == pytest.approx(probability - base, abs=1e-6)
    inputs = read(tmp_path / "inputs.csv")
    assert {row["case_id"] for row in inputs if row["fold"] == "0"} == {
        row["case_id"] for row in inputs if row["fold"] == "1"
    }


def test_each_model_explains_the_pixels_of_cases_of_its_own(models: tuple[Any, list[Any]], tmp_path: Path) -> None:
    example, both = models
    explain(example, both, tmp_path, FAST)
    rows = read(tmp_path / "pixels.csv")
    by_fold = {fold: {row["case_id"] for row in rows if row["fold"] == fold} for fold in "01"}
    assert by_fold["0"]
    assert by_fold["1"]
    assert not by_fold["0"] & by_fold["1"]
    pictures = {path.stem for path in (tmp_path / "images").iterdir()}
    assert pictures == by_fold["0"] | by_fold["1"]
    assert {row["fold"] for row in read(tmp_path / "pixel_checks.csv")} == {"0", "1"}


def test_a_picture_says_whose_model_it_explains_where_that_one_says_otherwise(
    models: tuple[Any, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = []
    monkeypatch.setattr(
        "fusion.explanation.pixel_tables.write_panels", lambda path, **given: captions.append(given["caption"])
    )
    example, both = models
    explain(example, both[:1], tmp_path / "one", FAST)
    assert captions
    assert all(caption.count("probability") == 1 and "by the model" not in caption for caption in captions)
    captions.clear()
    explain(example, both, tmp_path / "both", FAST)
    assert any("; by the model of fold 1, which is explained, " in caption for caption in captions)


def test_none_writes_nothing(models: tuple[Any, list[Any]], tmp_path: Path) -> None:
    example, both = models
    explain(example, both, tmp_path / "out", {"name": "none"})
    assert not (tmp_path / "out").exists()
