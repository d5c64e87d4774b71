"""Batch norm over the rows of all ranks, for devices that torch's own (``nn.SyncBatchNorm``) does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import Function
from torch.nn.modules.batchnorm import _BatchNorm


class SyncedBatchNorm(_BatchNorm):
    """Batch norm with the mean and variance of the whole batch, of which every rank has a share, perhaps an empty one.

    Mean and variance are summed in double precision, one after the other: the result is that of one device up to
    rounding. In evaluation it is an ordinary batch norm.
    """

    @classmethod
    def of(cls, norm: _BatchNorm) -> Self:
        """The same layer, on the same parameters and buffers; timm's, which end in an activation, keep it."""
        synced = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        synced._parameters, synced._buffers = norm._parameters, norm._buffers
        synced._modules = norm._modules
        synced.training = norm.training
        return synced

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 -- torch's name
        pass

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 -- torch's name
        """Normalize: (B, C, ...) → the same shape."""
        rows = self._normalize(input) if self.training else super().forward(input)
        for layer in self.children():
            rows = layer(rows)
        return rows

    def _normalize(self, rows: Tensor) -> Tensor:
        axes = [0, *range(2, rows.ndim)]
        shape = (1, -1, *(1,) * (rows.ndim - 2))
        n_here = rows.new_tensor([rows.numel() / rows.shape[1]], dtype=torch.float64)
        sums = _sum_over_ranks(torch.cat([rows.sum(axes, dtype=torch.float64), n_here]))
        mean, n_values = sums[:-1] / sums[-1], float(sums[-1].detach())
        if n_values <= 1:
            raise ValueError(f"batch norm: required more than 1 value per channel in training, came {n_values:g}")
        # Half precision is for what comes before and after.
        wide = torch.promote_types(rows.dtype, torch.float32)
        centered = rows - mean.view(shape).to(wide)
        variance = _sum_over_ranks((centered * centered).sum(axes, dtype=torch.float64)) / n_values
        self._track(mean.detach(), variance.detach(), n_values)
        scale = torch.rsqrt(variance + self.eps).to(wide)
        if self.affine:
            scale = scale * self.weight
        normalized = centered * scale.view(shape)
        if self.affine:
            normalized = normalized + self.bias.view(shape)
        return normalized.to(rows.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, n_values: float) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_((variance * n_values / (n_values - 1)).to(self.running_var.dtype), weight)


class _SumOverRanks(Function):
    """The gradient of a sum over ranks is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004 -- torch's signature
        return _all_reduced(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:  # noqa: ARG004 -- torch's signature
        return _all_reduced(gradients[0])


def _sum_over_ranks(values: Tensor) -> Tensor:
    summed: Tensor = _SumOverRanks.apply(values)
    return summed


def _all_reduced(values: Tensor) -> Tensor:
    summed = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(summed)
    return summed


def synchronize_batch_norms(network: nn.Module, *, device: str) -> None:
    """Let every batch norm of a network see the rows of all ranks, in place; names in the state dict stay.

    Args:
        network: On any device.
        device: ``cpu``, or ``cuda``, where torch's own layer is the faster one.
    """
    from timm.layers.norm_act import convert_sync_batchnorm

    for name, child in network.named_children():
        if not isinstance(child, _BatchNorm):
            synchronize_batch_norms(child, device=device)
        else:
            convert: Callable[[_BatchNorm], nn.Module] = convert_sync_batchnorm
            setattr(network, name, convert(child) if device == "cuda" else SyncedBatchNorm.of(child))
