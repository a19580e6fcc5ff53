"""Choose patch size, network and batch size of one configuration: the largest that the memory target holds.

In: a `Target`, spacing and median shape. Out: a `SizedNetwork`, each value with its reason. The rules are nnU-Net's
(Isensee et al., Nature Methods 2021; release 2.8.1): start from a patch with equal sides in mm, shorten it where it is
longest relative to the median case until the network fits, then use the memory that is left for the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from autoseg.image.geometry import Shape
from autoseg.plan.configuration import Architecture, Network
from autoseg.plan.decision import Decision, WithReasons
from planner.rules.memory import MEMORY_MODELS, MemoryModel, feature_map_elements
from planner.rules.topology import SMALLEST_FEATURE_MAP, Topology, first_patch, next_smaller, plan_topology

FIRST_FEATURES = 32
"""Number of features at the first stage."""

MOST_FEATURES = {2: 512, 3: 320}
"""Maximum number of features of a stage, keyed by the number of axes of the network."""

SMALLEST_BATCH = 2
"""Minimum number of patches per batch."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Target:
    """What a network is planned for: architecture, memory, classes and axes.

    Args:
        architecture: architecture of the network, which decides its blocks and its memory model.
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
    """A network, and the patch and the batch it is trained with, each with its reason.

    Args:
        network: the largest network that fits into the memory target.
        patch_size: patch size in voxels (z, y, x).
        batch_size: number of patches per batch.
    """

    network: WithReasons[Network]
    patch_size: Decision[Shape]
    batch_size: Decision[int]


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
    start = " × ".join(str(n) for n in target.in_array_order(first.patch_size, 1))
    median = " × ".join(f"{n:g}" for n in target.in_array_order(median_shape, 1))
    patch_size = Decision(
        target.in_array_order(topology.patch_size, 1),
        f"from {start} (sides equal in mm, within the median case of {median} voxels) shortened until it "
        f"fits: {elements / 1e6:.0f} million feature-map elements, of which {target.memory_gb:g} GB hold "
        f"{target.elements / 1e6:.0f} million at batch size {target.batch}",
    )
    return SizedNetwork(
        network_for(target, topology), patch_size, _batch_size(target, topology, elements, dataset_voxels)
    )


def network_for(target: Target, topology: Topology) -> WithReasons[Network]:
    """The network with the stages of `topology`; its features double at each stage up to `MOST_FEATURES`."""
    stages = len(topology.strides)
    most = MOST_FEATURES[len(target.axes)]
    has = f"what the architecture {target.architecture} has at its"
    return WithReasons.of(
        Network,
        architecture=Decision(target.architecture, f"asked for, or the default; the patch allows {stages} stages"),
        features=Decision(
            tuple(min(most, FIRST_FEATURES * 2**stage) for stage in range(stages)),
            f"{FIRST_FEATURES}, doubled at each stage up to {most}",
        ),
        strides=Decision(
            tuple(target.in_array_order(stride, 1) for stride in topology.strides),
            "an axis is halved while no axis of the patch is over twice as fine and its feature map "
            f"keeps {SMALLEST_FEATURE_MAP} voxels",
        ),
        kernel_sizes=Decision(
            tuple(target.in_array_order(kernel, 1) for kernel in topology.kernel_sizes),
            "1 along an axis at least twice as coarse as the finest, 3 elsewhere and at the end",
        ),
        encoder_blocks=Decision(target.model.encoder_blocks(stages), f"{has} {stages} stages"),
        decoder_blocks=Decision((target.model.decoder_blocks,) * (stages - 1), f"{has} {stages - 1} decoder stages"),
    )


def _batch_size(target: Target, topology: Topology, elements: int, dataset_voxels: float) -> Decision[int]:
    """The batch size that memory and the size of the data set allow.

    Args:
        target: architecture, memory, classes and axes that are planned for.
        topology: stages of the network, and its patch.
        elements: number of feature-map elements of one patch.
        dataset_voxels: number of voxels of all cases.
    """
    by_memory = round(target.elements / elements * target.batch)
    by_dataset = round(dataset_voxels * target.model.dataset_share / math.prod(topology.patch_size))
    return Decision(
        max(min(by_memory, by_dataset), SMALLEST_BATCH),
        f"memory allows {by_memory}, {target.model.dataset_share:.0%} of the data set's "
        f"voxels {by_dataset}, at least {SMALLEST_BATCH}",
    )


def _elements(target: Target, topology: Topology) -> int:
    patch = target.in_array_order(topology.patch_size, 1)
    return feature_map_elements(network_for(target, topology).value, patch, target.classes)


def _needed(target: Target, topology: Topology) -> float:
    """Feature-map elements of a patch, scaled to the smallest batch size where the architecture's rule does so."""
    scale = SMALLEST_BATCH / target.batch if target.model.shrinks_to_smallest_batch else 1.0
    return _elements(target, topology) * scale
