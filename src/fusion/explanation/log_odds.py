"""What the pixels are asked about: the log-odds of the positive label."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from fusion.training.fitted import FittedModel
from fusion.training.inputs import Batch


def log_odds(model: FittedModel, image: Tensor, radiomics: Tensor, clinical: Tensor, present: Tensor) -> Tensor:
    """(B,) log-odds of the positive label against all others, before calibration.

    Args:
        model: Whose network takes (B, ...) ``image``, ``radiomics``, ``clinical``, and
        present: (B, 3) or (1, 3).
    """
    logits = model.network(image, radiomics, clinical, present.expand(len(image), -1))
    # With more than two labels the shift does not cancel out.
    logits = logits + torch.tensor(model.prior_shift, dtype=logits.dtype)
    # A branch that is absent is not looked at; autograd asks for every input to be part of the result.
    untouched = sum(0.0 * part.flatten(1).sum(1) for part in (image, radiomics, clinical))
    odds: Tensor = logits[:, -1] - torch.logsumexp(logits[:, :-1], dim=1) + untouched
    return odds


@dataclass(frozen=True, kw_only=True)
class ImageOdds:
    """Log-odds as a function of the image of one case, whose other branches stay what they are.

    Attributes:
        model: On the CPU, in evaluation mode.
        radiomics, clinical, present: (1, ...) of the case.
    """

    model: FittedModel
    radiomics: Tensor
    clinical: Tensor
    present: Tensor

    @classmethod
    def of(cls, model: FittedModel, batch: Batch) -> tuple[Self, Tensor]:
        """The function and the image, (1, C, n_px, n_px), of a batch of one case."""
        image, radiomics, clinical, present = model.network_inputs(batch)
        return cls(model=model, radiomics=radiomics, clinical=clinical, present=present), image

    def __call__(self, image: Tensor) -> Tensor:
        """(B, C, n_px, n_px) images → (B,) log-odds."""
        radiomics, clinical = (part.expand(len(image), -1) for part in (self.radiomics, self.clinical))
        return log_odds(self.model, image, radiomics, clinical, self.present)


def without_inplace(model: FittedModel) -> FittedModel:
    """A copy on the CPU whose layers leave their inputs alone: an output that is looked at stays what it was."""
    network = copy.deepcopy(model.network).cpu().eval()
    for layer in network.modules():
        if getattr(layer, "inplace", False) is True:
            layer.inplace = False  # type: ignore[assignment]  # A flag of torch's activations.
    return replace(model, network=network)
