"""Choose patch size, network and batch size of one configuration: the largest that the memory target holds.

In: a `Target`, spacing and median shape. Out: a `SizedNetwork`. The rules are nnU-Net's (Isensee et al., Nature
Methods 2021; release 2.8.1): start from a patch with equal sides in mm, shorten it where it is longest relative to the
median case until the network fits, then use the memory that is left for the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Architecture, Network
from planner.rules.memory import MEMORY_MODELS, MemoryModel, feature_map_elements
from planner.rules.topology import SMALLEST_FEATURE_MAP, Topology, first_patch, next_smaller, plan_topology

FIRST_FEATURES = 32
MOST_FEATURES = {2: 512, 3: 320}
SMALLEST_BATCH = 2

Value = TypeVar("Value")


@dataclass(frozen=True)
class Target:
    """What a network is planned for: architecture, memory, classes and axes.

    Args:
        architecture: architecture of the network.
        memory_gb: GPU memory in GB that a training step may take.
        classes: number of output channels, background included.
        axes: array axes (0 = z, 1 = y, 2 = x) in the order of planning; two axes for a 2D network.
    """

    architecture: Architecture
    memory_gb: float
    classes: int
    axes: tuple[int, ...]

    @property
    def model(self) -> MemoryModel:
        """Memory model of the architecture."""
        return MEMORY_MODELS[self.architecture]

    @property
    def elements(self) -> float:
        """Feature-map elements that the memory target holds, at the model's own batch size."""
        return self.model.elements(len(self.axes), self.memory_gb)

    @property
    def batch(self) -> int:
        """Batch size for which `elements` holds."""
        return self.model.batch(len(self.axes))

    def in_array_order(self, values: Sequence[Value], along_slices: Value) -> tuple[Value, Value, Value]:
        """Reorder values of the planned axes to (z, y, x); the slice axis of a 2D network gets `along_slices`."""
        placed = dict(zip(self.axes, values, strict=True))
        return placed.get(0, along_slices), placed.get(1, along_slices), placed.get(2, along_slices)


@dataclass(frozen=True)
class SizedNetwork:
    """A network, the patch and the batch it is trained with, and the numbers that led to them.

    Args:
        network: the network that fits into the memory target.
        patch_size: patch size in voxels (z, y, x).
        batch_size: number of patches per batch.
        elements: number of feature-map elements of one patch.
        first_patch: patch size in voxels (z, y, x) before memory was considered.
        batch_by_memory: batch size that the memory target alone allows.
        batch_by_dataset: batch size that holds the largest allowed share of the data set.
    """

    network: Network
    patch_size: Shape
    batch_size: int
    elements: int
    first_patch: Shape
    batch_by_memory: int
    batch_by_dataset: int


def size_network(
    target: Target, spacing: Sequence[float], median_shape: Sequence[float], dataset_voxels: float
) -> SizedNetwork:
    """The largest patch whose network fits into the memory target, with this network and its batch size.

    Args:
        target: architecture, memory, classes and axes that are planned for.
        spacing: spacing in mm of each planned axis.
        median_shape: voxels of the median case along each planned axis.
        dataset_voxels: number of voxels of all cases at that spacing.

    Raises:
        PlanError: no patch is small enough for the memory target.
    """
    first = topology = plan_topology(spacing, first_patch(spacing, median_shape))
    while _needed(target, topology) > target.elements:
        topology = next_smaller(topology, spacing, median_shape)
    elements = _elements(target, topology)
    by_memory = round(target.elements / elements * target.batch)
    by_dataset = round(dataset_voxels * target.model.dataset_share / math.prod(topology.patch_size))
    return SizedNetwork(
        network=network_of(target, topology),
        patch_size=target.in_array_order(topology.patch_size, 1),
        batch_size=max(min(by_memory, by_dataset), SMALLEST_BATCH),
        elements=elements,
        first_patch=target.in_array_order(first.patch_size, 1),
        batch_by_memory=by_memory,
        batch_by_dataset=by_dataset,
    )


def network_of(target: Target, topology: Topology) -> Network:
    """The network with the stages of `topology`; its features double at each stage up to `MOST_FEATURES`."""
    stages = len(topology.strides)
    most = MOST_FEATURES[len(target.axes)]
    return Network(
        architecture=target.architecture,
        features=tuple(min(most, FIRST_FEATURES * 2**stage) for stage in range(stages)),
        strides=tuple(target.in_array_order(stride, 1) for stride in topology.strides),
        kernel_sizes=tuple(target.in_array_order(kernel, 1) for kernel in topology.kernel_sizes),
        encoder_blocks=target.model.encoder_blocks(stages),
        decoder_blocks=(target.model.decoder_blocks,) * (stages - 1),
    )


def reasons_of(target: Target, sized: SizedNetwork, median_shape: Sequence[float]) -> dict[str, str]:
    """The reason, in one sentence, for each field of a configuration that `size_network` decided.

    Args:
        target: architecture, memory, classes and axes that were planned for.
        sized: result of `size_network`.
        median_shape: voxels of the median case along each planned axis.
    """
    first = " × ".join(str(n) for n in sized.first_patch)
    median = " × ".join(f"{n:g}" for n in target.in_array_order(median_shape, 1))
    stages = len(sized.network.features)
    return {
        "patch_size": f"from {first} (sides equal in mm, within the median case of {median} voxels) shortened until it "
        f"fits: {sized.elements / 1e6:.0f} million feature-map elements, of which {target.memory_gb:g} GB hold "
        f"{target.elements / 1e6:.0f} million at batch size {target.batch}",
        "batch_size": f"memory allows {sized.batch_by_memory}, {target.model.dataset_share:.0%} of the data set's "
        f"voxels {sized.batch_by_dataset}, at least {SMALLEST_BATCH}",
        "network.architecture": f"asked for, or the default; the patch allows {stages} stages",
        "network.features": f"{FIRST_FEATURES}, doubled at each stage up to {MOST_FEATURES[len(target.axes)]}",
        "network.strides": "an axis is halved while no axis of the patch is over twice as fine and its feature map "
        f"keeps {SMALLEST_FEATURE_MAP} voxels",
        "network.kernel_sizes": "1 along an axis at least twice as coarse as the finest, 3 elsewhere and at the end",
        "network.encoder_blocks": f"what the architecture {target.architecture} has at its {stages} stages",
        "network.decoder_blocks": f"what the architecture {target.architecture} has at its {stages - 1} decoder stages",
    }


def _elements(target: Target, topology: Topology) -> int:
    patch = target.in_array_order(topology.patch_size, 1)
    return feature_map_elements(network_of(target, topology), patch, target.classes)


def _needed(target: Target, topology: Topology) -> float:
    """Feature-map elements of a patch, scaled to the smallest batch size where the architecture's rule does so."""
    scale = SMALLEST_BATCH / target.batch if target.model.shrinks_to_smallest_batch else 1.0
    return _elements(target, topology) * scale
