"""What a configuration's ``model`` says: the end-to-end network or a classical model, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The branch that a block of a classical model is made of; clinical columns need nothing but the table.
BRANCH_OF = {"deep": "image", "radiomics": "radiomics", "clinical": "clinical", "ultrasound": "clinical"}
BLOCKS = tuple(BRANCH_OF)


def is_classical(model: Mapping[str, Any]) -> bool:
    """Whether it is made of stages (``inputs``), and not a network (``branches``)."""
    return "inputs" in model


def branches_taken(model: Mapping[str, Any]) -> set[str]:
    """Which of image, radiomics and clinical the model learns from."""
    return {BRANCH_OF[block] for block in model["inputs"]} if is_classical(model) else set(model["branches"])


def branches_heard(model: Mapping[str, Any]) -> list[str]:
    """What has a probability of its own beside the model's: the network's branches, a classical model's scores."""
    if is_classical(model):
        return [block for block, entry in model["inputs"].items() if entry == "score"]
    return list(model["branches"])
