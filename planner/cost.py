"""What a network costs, counted: multiply-adds of a forward pass."""

from __future__ import annotations

import math

from autoseg.geometry import Shape
from autoseg.plan import Network


def multiply_adds(network: Network, patch_size: Shape, channels: int, classes: int) -> int:
    """Multiply-adds of all convolutions in the forward pass of one patch.

    Args:
        network: plain or residual.
        patch_size: voxels (z, y, x).
        channels: of the input.
        classes: of the output, at full resolution.
    """
    total, entering, size = 0, channels, list(patch_size)
    voxels, residual = [], network.architecture != "plain"
    if residual:
        total += math.prod(size) * math.prod(network.kernel_sizes[0]) * entering * network.features[0]
        entering = network.features[0]
    stages = zip(network.features, network.strides, network.kernel_sizes, network.encoder_blocks, strict=True)
    for features, stride, kernel, blocks in stages:
        size = [n // s for n, s in zip(size, stride, strict=True)]
        voxels.append(math.prod(size))
        convolutions = (2 * blocks if residual else blocks) - 1
        total += voxels[-1] * math.prod(kernel) * features * (entering + convolutions * features)
        entering = features
    for stage, blocks in enumerate(network.decoder_blocks):
        here, below = network.features[stage], network.features[stage + 1]
        kernel_voxels = math.prod(network.kernel_sizes[stage])
        # the transposed convolution's kernel is its stride: every output voxel sees one input voxel
        total += voxels[stage] * here * (below + kernel_voxels * (2 * here + (blocks - 1) * here))
    return total + voxels[0] * network.features[0] * classes
