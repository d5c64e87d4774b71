"""Learning rates for another size of batch than they were chosen for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_POWERS = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}


def scale_rates(optimizer: Mapping[str, Any], *, trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The optimizer's settings with the rates multiplied as ``trainer.lr_scaling`` says.

    Linear: Goyal et al., arXiv:1706.02677, 2.1, for SGD. Square root: Malladi et al., NeurIPS 2022, for Adam.
    """
    power = _POWERS[trainer["lr_scaling"]]
    if power == 0:
        return dict(optimizer)
    factor = (trainer["batch_size"] / trainer["reference_batch_size"]) ** power
    rates = {name: rate * factor for name, rate in optimizer.items() if name == "lr" or name.startswith("lr_")}
    return {**optimizer, **rates}
