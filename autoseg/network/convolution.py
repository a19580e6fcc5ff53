"""Convolution that is as fast for one small patch as for several.

On a CPU torch takes oneDNN only for a batch of several or a large input; one small patch, as the deep
stages of a network see in prediction, goes a general way that takes several times as long.
Same function, measured in docs/experiments.md.
"""

from __future__ import annotations

import torch
from torch import nn


class Convolution(nn.Conv3d):
    """`torch.nn.Conv3d` with zero padding, (B, in, z, y, x) to (B, out, z', y', x')."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, by oneDNN where nothing is learned."""
        if torch.is_grad_enabled() or not _onednn_takes(x):
            return super().forward(x)
        assert not isinstance(self.padding, str)
        return torch.mkldnn_convolution(
            x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )


def _onednn_takes(x: torch.Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        # which casts only what goes through torch's own convolution
        and not torch.is_autocast_enabled("cpu")
    )
