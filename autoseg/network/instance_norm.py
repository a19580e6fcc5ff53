"""Instance normalisation that keeps the memory layout in which convolutions are fastest on a CPU (channels last).

torch's own instance norm copies a channels-last tensor to the contiguous layout and back, in the forward and the
backward pass. Here the forward pass is torch's group norm, which does not copy, and the backward pass is written out
with no more sweeps over the tensor than it needs. The function is the same (Ulyanov et al., arXiv:1607.08022);
docs/experiments/convolutions-and-layout.md has measurements.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

SPATIAL = (2, 3, 4)


class _InstanceNorm(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
        batch, channels = x.shape[:2]
        voxels = x[0, 0].numel()
        y, mean, scale = torch.native_group_norm(x, weight, bias, batch, channels, voxels, channels, eps)
        context.save_for_backward(x, mean, scale, weight)
        return y

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, None]:
        saved, mean, scale, weight = context.saved_tensors
        # half precision is too coarse for the differences of sums below, and slow where channels are few
        x, gradient = saved.float(), gradient.float()
        mean, scale = mean[:, :, None, None, None], scale[:, :, None, None, None]
        voxels = x[0, 0].numel()
        total = gradient.sum(SPATIAL, keepdim=True)
        along = ((gradient * x).sum(SPATIAL, keepdim=True) - mean * total) * scale
        # weight * scale * (gradient - mean(gradient) - normalised * mean(gradient * normalised))
        weighted = scale * weight.view(1, -1, 1, 1, 1)
        of_x = -weighted * along * scale / voxels
        constant = -weighted * total / voxels - of_x * mean
        to_x = torch.addcmul(constant, gradient, weighted).addcmul_(x, of_x)
        return to_x.to(saved.dtype), along.sum((0, *SPATIAL)), total.sum((0, *SPATIAL)), None


class InstanceNorm(nn.InstanceNorm3d):
    """`torch.nn.InstanceNorm3d` with learned weight and bias, from (batch, channel, z, y, x) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-5, affine=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each channel of each sample over its voxels."""
        if x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16):
            return _InstanceNorm.apply(x, self.weight, self.bias, self.eps)
        return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
