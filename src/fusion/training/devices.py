"""What a run computes on, and in which precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fusion.errors import FusionError


def scoring_device(accelerator: str) -> str:
    """Where fitted models score: the GPU where the accelerator allows one and there is one, else the CPU.

    Raises:
        FusionError: If a GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if accelerator in ("gpu", "cuda") and not has_gpu:
        raise FusionError(
            f"trainer.accelerator={accelerator}: required a CUDA GPU, came a machine where torch finds none; "
            "use trainer.accelerator=cpu, or auto to take one where there is one"
        )
    return "cuda" if accelerator in ("auto", "gpu", "cuda") and has_gpu else "cpu"


def describe_device(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """What a run computes on: device, its name, threads, and precision of the fit."""
    device = scoring_device(trainer["accelerator"])
    name = torch.cuda.get_device_name() if device == "cuda" else torch.cpu.get_capabilities().get("cpu_name", "unknown")
    precision = str(resolve_precision(trainer["precision"], trainer["accelerator"]))
    return {"device": device, "name": str(name), "threads": torch.get_num_threads(), "precision": precision}


def resolve_precision(precision: str, accelerator: str) -> Any:
    """``auto`` is bf16 where the device computes in it (CUDA, or a CPU with AMX), else full precision.

    Anything else is Lightning's own name of a precision.
    """
    if precision != "auto":
        return precision
    on_gpu = scoring_device(accelerator) == "cuda"
    has_bf16 = torch.cuda.is_bf16_supported() if on_gpu else bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return "bf16-mixed" if has_bf16 else "32-true"
