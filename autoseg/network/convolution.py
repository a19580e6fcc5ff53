"""Convolution that is as fast for one small patch as for several, and that learns right in half precision.

On a CPU torch takes oneDNN only for a batch of several or a large input; one small patch, as the deep
stages of a network see in prediction, goes a general way that takes several times as long. And oneDNN's
gradient of weights in bfloat16 is wrong where the image is shorter than the kernel: it reads what was never
written, and writes beyond its buffers. Both measured in docs/experiments.
"""

from __future__ import annotations

import torch
from torch import nn


class Convolution(nn.Conv3d):
    """`torch.nn.Conv3d` with zero padding, (B, in, z, y, x) to (B, out, z', y', x')."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, by oneDNN where nothing is learned."""
        if torch.is_grad_enabled():
            return self._learn(x)
        if not _onednn_takes(x):
            return super().forward(x)
        assert not isinstance(self.padding, str)
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )

    def _learn(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve in single precision where half precision would give wrong gradients."""
        if not self._is_wrong_in_half_precision(x):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())

    def _is_wrong_in_half_precision(self, x: torch.Tensor) -> bool:
        """Whether autocast asks for it on a CPU, and an axis of the image is shorter than the kernel."""
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return False
        return any(voxels < kernel for voxels, kernel in zip(x.shape[2:], self.kernel_size, strict=True))


def _onednn_takes(x: torch.Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        # which casts only what goes through torch's own convolution
        and not torch.is_autocast_enabled("cpu")
    )
