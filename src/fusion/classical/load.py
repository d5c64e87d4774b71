"""Read a fitted model of either kind."""

from __future__ import annotations

from pathlib import Path

from fusion.classical import model as classical
from fusion.training.checkpoint import read_checkpoint
from fusion.training.fitted import FittedModel
from fusion.training.model import Model


def load_model(path: Path) -> Model:
    """The network or classical model that a run wrote.

    Raises:
        FusionError: If the file is not such a model.
    """
    content = read_checkpoint(path)
    if content["kind"] == classical.KIND:
        return classical.ClassicalModel.from_content(content)
    return FittedModel.from_content(content)
