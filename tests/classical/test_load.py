from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from number_cohort import complete

from fusion.classical.fit import Fitting, fit_classical, whole_training
from fusion.classical.load import load_model
from fusion.classical.model import ClassicalModel
from fusion.errors import FusionError
from fusion.training.fitted import FittedModel
from fusion.training.model import Model


def probabilities(data: Any, model: Model) -> Any:
    scores = model.score_cases(data.cohort.cases, crops=data.crops, features=data.features, accelerator="cpu")
    return scores.probabilities


def test_either_kind_is_read_as_what_it_is(data: Any, fitting: Callable[..., Fitting], tmp_path: Path) -> None:
    data = complete(data)
    network = data.fit(trainer__max_epochs=1)
    made = fitting(data, {"inputs": {"clinical": "features"}, "select": False})
    classical = fit_classical(made, whole_training(data.fold), []).model
    for number, (model, kind) in enumerate(((network, FittedModel), (classical, ClassicalModel))):
        model.save(tmp_path / f"{number}.ckpt", split_sha256="abc")
        again = load_model(tmp_path / f"{number}.ckpt")
        assert isinstance(again, kind)
        np.testing.assert_allclose(probabilities(data, again), probabilities(data, model), atol=1e-6)


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    torch.save({"format": 2}, tmp_path / "model.ckpt")
    with pytest.raises(FusionError, match=r"model.ckpt: required a model of format 3, came 2"):
        load_model(tmp_path / "model.ckpt")
    with pytest.raises(FusionError, match=r"absent.ckpt: required a model"):
        load_model(tmp_path / "absent.ckpt")
