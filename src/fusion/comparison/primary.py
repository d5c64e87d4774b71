"""Which model was declared to be the one that counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fusion.comparison.entries import Entry
from fusion.errors import FusionError


class Primary(NamedTuple):
    """The primary model.

    Attributes:
        place: Among the models.
        declared_in: ``config.yaml`` or ``the command line``.
    """

    place: int
    declared_in: str


def find_primary(models: Sequence[Entry], asked: str | None) -> Primary | None:
    """The model that the command line or the runs' ``primary`` names; None where neither does.

    A model answers to its name, to a part of it (``backbone.name=resnet18``) that no other model has, to its kind and
    to its folder.

    Raises:
        FusionError: If no model or several answer to it, or the runs declare different ones.
    """
    declared = dict.fromkeys(str(m.config["primary"]) for m in models if m.config.get("primary") is not None)
    if asked is not None:
        return Primary(_place(models, asked, "--primary"), "the command line")
    if not declared:
        return None
    if len(declared) > 1:
        raise FusionError(
            f"primary: required one model, came {', '.join(declared)} in the runs' config.yaml; "
            "say which it is with --primary NAME"
        )
    return Primary(_place(models, next(iter(declared)), "primary in config.yaml"), "config.yaml")


def _place(models: Sequence[Entry], wanted: str, where: str) -> int:
    exact = [place for place, model in enumerate(models) if model.name == wanted]
    found = exact or [place for place, model in enumerate(models) if wanted in model.aliases]
    if len(found) != 1:
        came = "none of them" if not found else f"{len(found)} of them"
        raise FusionError(
            f"{where}: required one of the models {'; '.join(model.name for model in models)}, "
            f"came {wanted}, which is {came}"
        )
    return found[0]
