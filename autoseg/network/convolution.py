"""Convolution that works around a slow path and a wrong gradient of torch on a CPU.

The slow path: torch calls oneDNN only for a batch of several patches or a large input. One small patch, which the
deep stages of a network see in prediction, takes a general path that needs several times as long. The wrong gradient:
in bfloat16, oneDNN's gradient of the weights is wrong where the image is shorter than the kernel, since it reads
uninitialised memory and writes beyond its buffers. docs/experiments has measurements of both.
"""

from __future__ import annotations

import torch
from torch import nn


class Convolution(nn.Conv3d):
    """`torch.nn.Conv3d` with zero padding, from (batch, in, z, y, x) to (batch, out, z', y', x')."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve; without gradients, call oneDNN directly where it supports the input."""
        if torch.is_grad_enabled():
            return self._learn(x)
        if not _onednn_takes(x):
            return super().forward(x)
        assert not isinstance(self.padding, str)
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )

    def _learn(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve with gradients, in single precision where half precision would give wrong ones."""
        if not self._is_wrong_in_half_precision(x):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())

    def _is_wrong_in_half_precision(self, x: torch.Tensor) -> bool:
        """Whether autocast is on for a CPU, and the image is shorter than the kernel along an axis."""
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return False
        return any(voxels < kernel for voxels, kernel in zip(x.shape[2:], self.kernel_size, strict=True))


def _onednn_takes(x: torch.Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        # autocast casts the inputs of torch's own convolution only
        and not torch.is_autocast_enabled("cpu")
    )
