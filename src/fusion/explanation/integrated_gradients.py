"""Integrated gradients of the three branches at once: pixels, features and clinical columns in one sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.records import Attribution
from fusion.training.fitted import FittedModel
from fusion.training.inputs import Inputs, make_loader


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Attributions of N cases, in log-odds of the positive label.

    Attributes:
        pixels: (N, n_px, n_px) summed over the input channels; zeros where there is no image.
        radiomics: Per radiomics feature.
        clinical: Per clinical column, its inputs summed.
    """

    pixels: NDArray[np.float64]
    radiomics: Attribution
    clinical: Attribution


def explain(model: FittedModel, inputs: Inputs, *, n_steps: int) -> Explanation:
    """Integrated gradients (Sundararajan, Taly & Yan, ICML 2017, eq. 1) of the log-odds of the positive label.

    The baseline is a black image without a lesion, the training mean of every feature and number, and no category. The
    attributions of a case, over its branches, sum to the log-odds less the baseline's: what they fail to is the
    completeness error, in log-odds.

    Args:
        model: In evaluation mode; it is explained on the CPU, and left there.
        inputs: N cases.
        n_steps: Of the Gauss-Legendre quadrature.
    """
    from captum.attr import IntegratedGradients

    model.network.cpu()
    method = IntegratedGradients(lambda *tensors: _log_odds(model, *tensors))
    columns = _column_of_input(model)
    pixels, radiomics, clinical, errors = [], [], [], []
    for batch in make_loader(inputs, weights=np.ones(len(inputs), dtype=np.float32), batch_size=1, shuffle=False):
        *tensors, present = model.network_inputs(batch)
        found, error = method.attribute(
            tuple(tensors),
            additional_forward_args=(present,),
            n_steps=n_steps,
            method="gausslegendre",
            return_convergence_delta=True,
        )
        image, features, encoded = (part.detach().double().numpy() for part in found)
        pixels.append(image.sum(axis=(0, 1)))
        radiomics.append(features[0])
        clinical.append(np.bincount(columns, weights=encoded[0], minlength=len(model.encoder.columns)))
        errors.append(float(error))
    case_ids = tuple(case.case_id for case in inputs.cases)
    completeness = np.array(errors)
    return Explanation(
        pixels=np.stack(pixels),
        radiomics=Attribution(
            case_ids=case_ids,
            branch="radiomics",
            names=model.scaler.names,
            values=np.stack(radiomics),
            completeness_error=completeness,
        ),
        clinical=Attribution(
            case_ids=case_ids,
            branch="clinical",
            names=tuple(column.name for column in model.encoder.columns),
            values=np.stack(clinical),
            completeness_error=completeness,
        ),
    )


def spread_cases(probabilities: NDArray[np.float64], n_cases: int) -> Sequence[int]:
    """Rows of ``n_cases`` cases, evenly spaced in the ranking by probability: the surest and the unsure ones."""
    order = np.argsort(probabilities, kind="stable")
    picks = np.linspace(0, len(order) - 1, min(n_cases, len(order))).round().astype(int)
    return [int(order[pick]) for pick in picks]


def _log_odds(model: FittedModel, image: Tensor, radiomics: Tensor, clinical: Tensor, present: Tensor) -> Tensor:
    logits = model.network(image, radiomics, clinical, present.expand(len(image), -1))
    # With more than two labels the shift does not cancel out.
    logits = logits + torch.tensor(model.prior_shift, dtype=logits.dtype)
    # A branch that is absent is not looked at; autograd asks for every input to be part of the result.
    untouched = sum(0.0 * part.flatten(1).sum(1) for part in (image, radiomics, clinical))
    odds: Tensor = logits[:, -1] - torch.logsumexp(logits[:, :-1], dim=1) + untouched
    return odds


def _column_of_input(model: FittedModel) -> NDArray[np.int64]:
    widths = [len(column.inputs) for column in model.encoder.columns]
    return np.repeat(np.arange(len(widths)), widths)
