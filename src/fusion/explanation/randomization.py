"""Parameter randomization: does an explanation change when what the network has learned is taken away?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.explanation.log_odds import without_inplace
from fusion.training.fitted import FittedModel, network_for


def randomized(model: FittedModel, *, seed: int) -> FittedModel:
    """The model with a network that has learned nothing: every parameter and every statistic as before training.

    Whole at once, where Adebayo et al. (NeurIPS 2018, section 3.1) go down layer by layer to the same end.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = network_for(
            model.settings, model.encoder, model.scaler, len(model.label_names), pretrained=False
        ).eval()
    return without_inplace(replace(model, network=network))


def similarity(values: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Rank correlation (Spearman) of two absolute attributions of one image, -1..1.

    0 where only ``other`` is the same everywhere; NaN where ``values`` is, and there is nothing to compare.
    """
    from scipy.stats import spearmanr

    strength, others = np.abs(values).ravel(), np.abs(other).ravel()
    if np.ptp(strength) == 0:
        return float("nan")
    return 0.0 if np.ptp(others) == 0 else float(spearmanr(strength, others).statistic)
