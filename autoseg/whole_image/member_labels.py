"""Label maps of an ensemble's members, made while their mean is predicted.

Every member gets a slab of its own (`slab_sums`), and of the planes behind it only the class of each voxel is kept,
1 byte. So a member takes a slab that is one patch thick and one byte a voxel at the network's spacing, and no window is
predicted twice. The mean is computed from the same numbers in the same order as without members, to the same bits.
Where the memory does not hold this, the members' label maps are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.image.geometry import Shape
from autoseg.machine.device_memory import free_device_memory
from autoseg.memory import free_memory
from autoseg.whole_image.slab_sums import DEVICE_SHARE, Box, Keep, SlabSums, slab_bytes

SHARE_OF_FREE_MEMORY = 0.5
"""The probabilities and the members' label maps may take this share of the free memory; what follows needs more."""

Decide = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From the weighted sums (K, z, y, x) of probabilities and the sums of the weights (z, y, x) to class indices uint8."""


@dataclass
class MemberLabels:
    """What is kept of the members of an ensemble.

    Args:
        predict: function from patches (batch, channel, z, y, x) float32 to the mean of the members' probabilities
            (batch, K, z, y, x), followed by the probabilities of each member.
        count: number of members.
        decide: gives each voxel its class.
        anywhere: whether the slabs may lie in the CPU's memory although another device predicts, which takes time.
        maps: class indices (z, y, x) of each member at the network's spacing; empty until they are made, and where the
            memory did not hold them.
    """

    predict: Callable[[torch.Tensor], Sequence[torch.Tensor]]
    count: int
    decide: Decide
    anywhere: bool = False
    maps: list[NDArray[np.uint8]] = field(default_factory=list)

    def begin(
        self, shape: Shape, patch_size: Shape, starts: Sequence[Sequence[int]], classes: int, device: torch.device
    ) -> list[SlabSums]:
        """Make the slab of each member.

        Args:
            shape: shape (z, y, x) of the image in voxels.
            patch_size: size (z, y, x) of a window in voxels.
            starts: for each axis the first voxel of each window.
            classes: number of the network's outputs.
            device: device that holds the slabs.
        """
        self.maps = [np.zeros(shape, np.uint8) for _ in range(self.count)]
        return [
            SlabSums(shape, patch_size, starts, classes, device, _into_labels(labels, self.decide))
            for labels in self.maps
        ]

    def device(self, shape: Shape, patch_size: Shape, classes: int, device: torch.device) -> torch.device | None:
        """Device that holds the slabs; None where no memory holds them.

        Args:
            shape: shape (z, y, x) of the image in voxels.
            patch_size: size (z, y, x) of a window in voxels.
            classes: number of the network's outputs.
            device: device that predicts.
        """
        slabs = (self.count + 1) * slab_bytes(shape, patch_size, classes)
        # of one window: the mean and every member, also mirrored
        patches = 2 * (self.count + 1) * 4 * classes * prod(patch_size)
        kept = prod(shape) * (2 * classes + self.count)
        if slabs + patches < DEVICE_SHARE * (free_device_memory(device) or 0):
            return device if kept < SHARE_OF_FREE_MEMORY * free_memory() else None
        if device.type != "cpu" and not self.anywhere:
            return None
        return torch.device("cpu") if slabs + patches + kept < SHARE_OF_FREE_MEMORY * free_memory() else None


def by_weights(weights: Sequence[float]) -> Decide:
    """The class with the largest weighted probability, the first of equal ones.

    Args:
        weights: factor on the probability of each class, background first.
    """

    def decide(slab: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        # the sums of the weights are the same for all classes
        best = slab[0] * weights[0]
        labels = torch.zeros(best.shape, dtype=torch.uint8, device=slab.device)
        for index in range(1, len(weights)):
            score = slab[index] * weights[index]
            wins = score > best
            torch.maximum(best, score, out=best)
            labels.masked_fill_(wins, index)
        return labels

    return decide


def by_thresholds(thresholds: Sequence[float], indices: Sequence[int]) -> Decide:
    """The class of the last region whose probability exceeds its threshold.

    Args:
        thresholds: threshold of each region.
        indices: class index that a voxel gets where a region is the last one.
    """

    def decide(slab: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
        labels = torch.zeros(sums.shape, dtype=torch.uint8, device=slab.device)
        for channel, threshold, index in zip(slab, thresholds, indices, strict=True):
            labels.masked_fill_(channel > threshold * sums, index)
        return labels

    return decide


def _into_labels(labels: NDArray[np.uint8], decide: Decide) -> Keep:
    def keep(slab: torch.Tensor, sums: torch.Tensor, box: Box) -> None:
        labels[box] = decide(slab, sums).cpu().numpy()

    return keep
