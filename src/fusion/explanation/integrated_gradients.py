"""Integrated gradients of the three branches at once: pixels, features and clinical columns in one sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.explanation.log_odds import log_odds
from fusion.records import Attribution
from fusion.training.fitted import FittedModel
from fusion.training.inputs import Batch, Inputs, make_loader

# Bounds memory; no result depends on it.
_STEPS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Attributions of N cases, in log-odds of the positive label.

    Attributes:
        pixels: (N, n_px, n_px) summed over the input channels; zeros where there is no image.
        radiomics: Per radiomics feature.
        clinical: Per clinical column, its inputs summed.
        differences: (N,) log-odds of the case less those of the baseline: what the attributions have to sum to.
        n_steps: (N,) of the quadrature.
    """

    pixels: NDArray[np.float64]
    radiomics: Attribution
    clinical: Attribution
    differences: NDArray[np.float64]
    n_steps: NDArray[np.int64]

    def relative_errors(self, *, smallest_difference: float) -> NDArray[np.float64]:
        """(N,) completeness errors as shares, see ``relative_error``."""
        return relative_error(
            self.radiomics.completeness_error, self.differences, smallest_difference=smallest_difference
        )


def relative_error(
    errors: NDArray[np.float64], differences: NDArray[np.float64], *, smallest_difference: float
) -> NDArray[np.float64]:
    """Absolute completeness errors as shares of the absolute difference that had to be explained; lower is better.

    Args:
        errors, differences: (N,) in log-odds.
        smallest_difference: In log-odds. A smaller difference counts as this one: where the case says what the baseline
            says, no error would be small against it, and there is next to nothing to explain.
    """
    shares: NDArray[np.float64] = np.abs(errors) / np.maximum(np.abs(differences), smallest_difference)
    return shares


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
    return _explain(model, inputs, lambda attribute: attribute(n_steps))


def explain_within(
    model: FittedModel,
    inputs: Inputs,
    *,
    n_steps: int,
    most_steps: int,
    tolerance: float,
    smallest_difference: float,
) -> Explanation:
    """As ``explain``, with as many steps as each case needs.

    Args:
        model, inputs: As of ``explain``.
        n_steps: That are tried first, and doubled until
        tolerance: the relative completeness error is no larger than this, or
        most_steps: no doubling is left; then the error stays what it is, and is in the result.
        smallest_difference: As of ``relative_error``.
    """

    def refine(attribute: Callable[[int], _Found]) -> _Found:
        steps, found = n_steps, attribute(n_steps)
        while found.relative_error(smallest_difference) > tolerance and 2 * steps <= most_steps:
            steps *= 2
            found = attribute(steps)
        return found

    return _explain(model, inputs, refine)


def spread_cases(probabilities: NDArray[np.float64], n_cases: int) -> Sequence[int]:
    """Rows of ``n_cases`` cases, evenly spaced in the ranking by probability: the surest and the unsure ones."""
    order = np.argsort(probabilities, kind="stable")
    picks = np.linspace(0, len(order) - 1, min(n_cases, len(order))).round().astype(int)
    return [int(order[pick]) for pick in picks]


class _Found(NamedTuple):
    """Of one case; ``clinical`` by column."""

    pixels: NDArray[np.float64]
    radiomics: NDArray[np.float64]
    clinical: NDArray[np.float64]
    error: float
    difference: float
    n_steps: int

    def relative_error(self, smallest_difference: float) -> float:
        return abs(self.error) / max(abs(self.difference), smallest_difference)


def _explain(
    model: FittedModel, inputs: Inputs, quadrature: Callable[[Callable[[int], _Found]], _Found]
) -> Explanation:
    """Explain case by case; ``quadrature`` decides on the number of steps and asks for the attributions."""
    model.network.cpu()
    batches = make_loader(inputs, weights=np.ones(len(inputs), dtype=np.float32), batch_size=1, shuffle=False)
    found = [quadrature(partial(_attribute, model, batch)) for batch in batches]
    case_ids = tuple(case.case_id for case in inputs.cases)
    completeness = np.array([one.error for one in found])
    return Explanation(
        pixels=np.stack([one.pixels for one in found]),
        radiomics=Attribution(
            case_ids=case_ids,
            branch="radiomics",
            names=model.scaler.names,
            values=np.stack([one.radiomics for one in found]),
            completeness_error=completeness,
        ),
        clinical=Attribution(
            case_ids=case_ids,
            branch="clinical",
            names=tuple(column.name for column in model.encoder.columns),
            values=np.stack([one.clinical for one in found]),
            completeness_error=completeness,
        ),
        differences=np.array([one.difference for one in found]),
        n_steps=np.array([one.n_steps for one in found]),
    )


def _attribute(model: FittedModel, batch: Batch, n_steps: int) -> _Found:
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(lambda *tensors: log_odds(model, *tensors))
    *tensors, present = model.network_inputs(batch)
    parts, delta = method.attribute(
        tuple(tensors),
        additional_forward_args=(present,),
        n_steps=n_steps,
        method="gausslegendre",
        internal_batch_size=_STEPS_AT_ONCE,
        return_convergence_delta=True,
    )
    image, features, encoded = (part.detach().double().numpy() for part in parts)
    error = float(delta)
    return _Found(
        pixels=image.sum(axis=(0, 1)),
        radiomics=features[0],
        clinical=_by_column(model, encoded[0]),
        error=error,
        # Captum's error is the attributions' sum less the difference.
        difference=float(image.sum() + features.sum() + encoded.sum()) - error,
        n_steps=n_steps,
    )


def _by_column(model: FittedModel, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    widths = [len(column.inputs) for column in model.encoder.columns]
    owners = np.repeat(np.arange(len(widths)), widths)
    return np.bincount(owners, weights=encoded, minlength=len(widths)).astype(np.float64)
