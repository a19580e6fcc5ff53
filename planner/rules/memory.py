"""Estimate the memory of a training step by counting the elements of feature maps.

In: a network and a patch size. Out: a number of elements. A constant for each architecture relates this number to GPU
memory (nnU-Net, release 2.8.1; for the residual-encoder presets arXiv:2404.09556). No network is built, and torch is
not needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Architecture, Network


@dataclass(frozen=True)
class MemoryModel:
    """How many feature-map elements fit into memory for an architecture, and how many blocks its stages have.

    Args:
        memory_gb: GPU memory in GB for which the numbers of elements hold.
        elements_3d: feature-map elements of one patch that fit for a 3D network at batch size `batch_3d`.
        elements_2d: feature-map elements of one patch that fit for a 2D network at batch size `batch_2d`.
        first_blocks: number of convolutions or residual blocks of each of the first encoder stages.
        further_blocks: number of convolutions or residual blocks of each later encoder stage.
        decoder_blocks: number of convolutions of each decoder stage.
        shrinks_to_smallest_batch: whether the patch may grow until it fills the memory at the smallest batch size of
            two, rather than at the batch size for which the numbers of elements hold.
        dataset_share: largest share of the data set's voxels that one batch may hold.
    """

    memory_gb: float
    elements_3d: int
    elements_2d: int
    first_blocks: tuple[int, ...]
    further_blocks: int
    decoder_blocks: int
    shrinks_to_smallest_batch: bool
    dataset_share: float

    batch_3d: ClassVar[int] = 2
    batch_2d: ClassVar[int] = 12

    def encoder_blocks(self, stages: int) -> tuple[int, ...]:
        """Number of blocks of each encoder stage, for a network of `stages` stages."""
        return (*self.first_blocks, *(self.further_blocks,) * stages)[:stages]

    def elements(self, axes: int, memory_gb: float) -> float:
        """Feature-map elements that fit into `memory_gb` for a network of two or three `axes`."""
        return (self.elements_2d if axes == 2 else self.elements_3d) * (memory_gb / self.memory_gb)

    def batch(self, axes: int) -> int:
        """The batch size for which the numbers of elements hold, for a network of two or three `axes`."""
        return self.batch_2d if axes == 2 else self.batch_3d


def _residual(memory_gb: float, elements_3d: int, elements_2d: int) -> MemoryModel:
    return MemoryModel(memory_gb, elements_3d, elements_2d, (1, 3, 4), 6, 1, False, 1.0)


MEMORY_MODELS: dict[Architecture, MemoryModel] = {
    "plain": MemoryModel(8, 560_000_000, 85_000_000, (), 2, 2, True, 0.05),
    "resenc_m": _residual(8, 680_000_000, 135_000_000),
    "resenc_l": _residual(24, 2_100_000_000, 380_000_000),
    "resenc_xl": _residual(40, 3_600_000_000, 560_000_000),
}


def feature_map_elements(network: Network, patch_size: Shape, classes: int, *, deep_supervision: bool = False) -> int:
    """Number of elements of all feature maps that convolutions write in the forward pass of one patch.

    Args:
        network: network of any architecture; a 2D network has stride 1 and patch length 1 along its slice axis.
        patch_size: patch size in voxels (z, y, x).
        classes: number of output channels, background included.
        deep_supervision: whether to count the outputs of every decoder stage, not only of the last. The planner does
            not count them, like nnU-Net's planner.
    """
    voxels = _voxels_of_stages(network, patch_size)
    elements = (
        _residual_encoder(network, voxels) if network.architecture != "plain" else _plain_encoder(network, voxels)
    )
    for stage, blocks in enumerate(network.decoder_blocks):
        # one up-convolution and the convolutions after it; all have as many features as the skip connection
        elements += (blocks + 1) * network.features[stage] * voxels[stage]
        if deep_supervision or stage == 0:
            elements += classes * voxels[stage]
    return elements


def _voxels_of_stages(network: Network, patch_size: Shape) -> list[int]:
    voxels, size = [], list(patch_size)
    for stride in network.strides:
        size = [n // s for n, s in zip(size, stride, strict=True)]
        voxels.append(math.prod(size))
    return voxels


def _plain_encoder(network: Network, voxels: list[int]) -> int:
    stages = zip(network.encoder_blocks, network.features, voxels, strict=True)
    return sum(blocks * features * n for blocks, features, n in stages)


def _residual_encoder(network: Network, voxels: list[int]) -> int:
    """Elements of a stem, two convolutions per block, and one for each shortcut that changes size or width."""
    entering, size_before = network.features[0], voxels[0]
    elements = entering * size_before
    for blocks, features, n in zip(network.encoder_blocks, network.features, voxels, strict=True):
        changes = features != entering or n != size_before
        elements += (2 * blocks + changes) * features * n
        entering, size_before = features, n
    return elements
